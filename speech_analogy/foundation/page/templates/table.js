"use strict";
// The table of utterances: what <noscript> holds for readers without scripts becomes a table to sort, filter and search.
// It is made when the reader comes near it, so that a page of thousands opens at once.
(function () {
  const holder = document.getElementById("all-utterances");
  if (!holder) return;
  const near = new IntersectionObserver((seen) => {
    if (!seen.some((entry) => entry.isIntersecting)) return;
    near.disconnect();
    make(holder);
  }, { rootMargin: "1500px" });
  near.observe(holder.closest("section"));

  function make(holder) {
    const parsed = document.createElement("template");
    parsed.innerHTML = holder.querySelector("noscript").textContent;
    const region = parsed.content.querySelector(".scroll");
    const element = region.querySelector("table");
    const wanted = { outcome: "", domain: "", pair: "" };
    const table = new DataTable(element, {
      pageLength: 25,
      lengthMenu: [10, 25, 100, { label: "all", value: -1 }],
      order: [],
      autoWidth: false,
      columnDefs: [{ targets: "unsorted", orderable: false }],
      layout: { topStart: "search", topEnd: "pageLength", bottomStart: "info", bottomEnd: "paging" },
      language: { search: "Search", lengthMenu: "_MENU_ a page", info: "_START_ to _END_ of _TOTAL_ utterances",
        infoFiltered: "(of _MAX_)", infoEmpty: "no utterance", zeroRecords: "No utterance is like this." },
    });
    holder.append(region); // only now, with one page of rows: thousands are never laid out
    const fits = {
      outcome: (row) => row.dataset.outcome === wanted.outcome,
      domain: (row) => row.dataset.domain === wanted.domain,
      pair: (row) => (row.dataset.pairs || "").split(" ").includes(wanted.pair),
    };
    for (const name of Object.keys(fits)) {
      table.search.fixed(name, (text, data, index) => !wanted[name] || fits[name](table.row(index).node()));
    }
    const controls = document.getElementById("utterance-filters");
    for (const select of controls.querySelectorAll("select")) {
      select.addEventListener("change", () => { wanted[select.name] = select.value; table.draw(); });
    }
    controls.hidden = false;
    const pairs = document.getElementById("heard-as");
    if (!pairs) return;
    for (const item of pairs.querySelectorAll("li")) {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "false");
      button.append(...item.childNodes);
      item.append(button);
      button.addEventListener("click", () => {
        const pressed = button.getAttribute("aria-pressed") === "true";
        for (const other of pairs.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
        button.setAttribute("aria-pressed", String(!pressed));
        wanted.pair = pressed ? "" : item.dataset.pair;
        table.draw();
      });
    }
  }
})();
