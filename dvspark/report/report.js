"use strict";
// The rows of the page: search, filter, sort, decide, and give the decisions back as a CSV. Texts of the data only ever
// become text nodes, so that none can act as markup.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const columns = data.columns;
  const byId = (id) => document.getElementById(id);
  const search = byId("search"), ofClass = byId("of-class"), ofDecision = byId("of-decision"), order = byId("order");
  const lines = byId("lines"), found = byId("found"), pages = byId("pages"), exported = byId("export-note");
  const PAGE_ROWS = 25;
  const DECISIONS = ["keep", "relabel", "drop", "check"];
  const all = Array.from({ length: data.n_rows }, (_, row) => row);

  const text = (name, row) => {
    const column = columns[name];
    if (!column || column.codes[row] < 0) return "";
    return column.texts[column.codes[row]];
  };
  const number = (name, row) => (columns[name] ? columns[name][row] : null);
  const given = all.map((row) => text("decision", row));
  const decided = given.slice();
  const label = all.map((row) => text("label", row));
  const classes = columns.classes.texts, classesOf = columns.classes.of_rows;
  const searched = all.map((row) => {
    const cell = columns.shown ? columns.shown.cells[row] : null;
    const words = [columns.id_text[row], label[row], text("owner", row), text("suggested_label", row),
      text("reason", row), cell && cell[0] !== "picture" ? cell[1] : ""];
    return words.join("\n").toLowerCase();
  });

  const element = (name, className, ...inside) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...inside.filter((part) => part !== null && part !== ""));
    return made;
  };
  const foreign = (content) => element("bdi", "", content);
  const shown = (value) => {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    return value.toFixed(data.decimals).replace("-", "−");
  };
  const counted = (n, noun) => `${n.toLocaleString("en")} ${noun}${n === 1 ? "" : "s"}`;
  const percent = (share) => share > 0.99 ? "over 99%" : `${Math.round(100 * share)}%`;
  const cell = (name, className, ...inside) => {
    const made = element("td", className, ...inside);
    made.dataset.name = name;
    return made;
  };
  const linkButton = (name, title, wanted) => {
    const button = element("button", "link", foreign(name));
    button.type = "button";
    button.title = title;
    button.addEventListener("click", () => choose(wanted));
    return button;
  };
  const classButton = (name, code) => (code < 0 ? foreign(name)
    : linkButton(name, "Show the rows of this class", { ofClass: code }));
  const rowButton = (id) => linkButton(id, "Show this row", { search: id });

  const recognized = (row) => {
    const content = columns.shown ? columns.shown.cells[row] : null;
    if (!content) return "";
    if (content[0] === "picture") {
      const picture = element("img", "picture");
      picture.src = `data:image/jpeg;base64,${content[1]}`;
      picture.alt = `${columns.shown.name} of row ${columns.id_text[row]}`;
      return picture;
    }
    if (content[0] === "link") {
      const link = element("a", "shown", foreign(content[1]));
      link.href = content[1];
      link.rel = "noopener noreferrer";
      link.target = "_blank";
      return link;
    }
    return element("p", "shown", foreign(content[1]));
  };
  const rowCell = (row) => {
    const owner = text("owner", row);
    const small = `rank ${columns.rank[row].toLocaleString("en")}`;
    return cell("Row", "id", foreign(columns.id_text[row]), recognized(row),
      element("small", "", owner ? element("span", "", "owner ", foreign(owner), " · ") : "", small));
  };
  const labelCell = (row) => {
    const own = classesOf[row].length === 1 ? classesOf[row][0] : -1;
    const made = cell("Label", "label", label[row] ? classButton(label[row], own) : element("i", "absent", "no label"));
    const suggested = text("suggested_label", row), code = number("suggested_class", row);
    if (suggested && code !== own) {
      const score = number("suggested_score", row);
      made.append(element("span", "suggested", element("span", "mark", "→ "), element("span", "",
        classButton(suggested, code), score === null ? "" : element("small", "", ` ${percent(score)}`))));
    }
    return made;
  };
  const valueCell = (row) => {
    const value = columns.value[row], error = number("standard_error", row);
    return cell(data.unit ? `Value, ${data.unit}` : "Value", value < 0 ? "n below" : "n", shown(value),
      error === null ? "" : element("small", "", `± ${shown(error)}`));
  };
  const nearCell = (row) => {
    const list = element("ol", "near");
    for (const [id, name, distance, differs, code] of (columns.near || {})[row] || []) {
      list.append(element("li", differs ? "differs" : "",
        differs ? element("span", "mark", "≠ ") : "", classButton(name, code), element("span", "near-id", foreign(id)),
        distance === null ? "" : element("span", "near-distance", ` ${distance}`)));
    }
    return cell("Nearest validation points", "wide", list);
  };
  const decisionCell = (row) => {
    const select = element("select");
    select.setAttribute("aria-label", `Decision on row ${columns.id_text[row]}`);
    select.disabled = columns.id[row] === null;
    for (const name of decided[row] ? DECISIONS : ["", ...DECISIONS]) {
      const option = element("option", "", name || "–");
      option.value = name;
      option.selected = name === decided[row];
      select.append(option);
    }
    select.addEventListener("change", () => {
      decided[row] = select.value;
      tellExport();
    });
    const made = cell("Decision", "decision", select);
    const reason = text("reason", row);
    if (reason) made.append(element("p", "reason", foreign(reason)));
    for (const [name, told] of [["duplicate_of", "copy of "], ["leaked_from", "also in validation: "]]) {
      const other = text(name, row);
      if (other) made.append(element("p", "reason", told, name === "duplicate_of" ? rowButton(other) : foreign(other)));
    }
    return made;
  };
  const line = (row) => element("tr", decided[row] && decided[row] !== "keep" ? "suspect" : "",
    rowCell(row), labelCell(row), valueCell(row), ...(columns.near ? [nearCell(row)] : []), decisionCell(row));

  const rank = (name) => (row) => (number(name, row) === null ? Infinity : number(name, row));
  const ORDERS = {
    first: null,
    value: rank("value"),
    highest: (row) => (columns.value[row] === null ? Infinity : -columns.value[row]),
    ratio: (row) => (columns.standard_error && columns.standard_error[row] > 0 && columns.value[row] !== null
      ? columns.value[row] / columns.standard_error[row] : Infinity),
    score: rank("label_score"),
    outlier: (row) => -(number("outlier_score", row) ?? -Infinity),
    label: (row) => label[row],
    id: (row) => columns.id_text[row],
  };
  let page = 0, matching = all;
  const select = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    matching = all.filter((row) => words.every((word) => searched[row].includes(word))
      && (!ofClass.value || classesOf[row].includes(Number(ofClass.value)))
      && (!ofDecision.value || decided[row] === ofDecision.value));
    const key = ORDERS[order.value];
    if (key) {
      const keys = all.map(key);
      const compared = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      matching = matching.slice().sort((a, b) => (keys[a] === keys[b] ? a - b : compared(keys[a], keys[b])));
    }
    page = 0;
    draw();
  };
  const draw = () => {
    const first = page * PAGE_ROWS, last = Math.min(first + PAGE_ROWS, matching.length);
    lines.replaceChildren(...matching.slice(first, last).map(line));
    const whole = data.n_table > data.n_rows ? ` (of ${data.n_table.toLocaleString("en")} in the table)` : "";
    const place = first + 1 === last ? "" : `${(first + 1).toLocaleString("en")}–`;
    found.textContent = matching.length
      ? `${place}${last.toLocaleString("en")} of ${counted(matching.length, "row")}${whole}`
      : "No row is like that.";
    pages.hidden = matching.length <= PAGE_ROWS;
    byId("before").disabled = page === 0;
    byId("after").disabled = last === matching.length;
  };
  const turn = (by) => {
    page += by;
    draw();
    byId("rows").scrollIntoView();
  };
  const choose = (wanted) => {
    search.value = wanted.search ?? "";
    ofClass.value = wanted.ofClass ?? "";
    // A class without a row on this page: what is found are rows in whose texts its name stands.
    if (wanted.ofClass !== undefined && !ofClass.value) search.value = wanted.name ?? classes[wanted.ofClass];
    ofDecision.value = "";
    select();
    byId("rows").scrollIntoView();
  };

  const quoted = (field) => (/[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
  // What a person changed, and what was decided to be done; a row that is kept needs no line.
  const chosen = () => all.filter((row) => columns.id[row] !== null && decided[row]
    && (decided[row] !== "keep" || decided[row] !== given[row]));
  const csv = () => {
    const head = ["id", "decision", "suggested_label"];
    const body = chosen().map((row) => [String(columns.id[row]), decided[row], text("suggested_label", row)]);
    return [head, ...body].map((fields) => fields.map(quoted).join(",")).join("\r\n") + "\r\n";
  };
  const tellExport = () => {
    const n = chosen().length, changed = all.filter((row) => decided[row] !== given[row]).length;
    exported.textContent = `${counted(n, "decision")}, ${changed.toLocaleString("en")} of them changed here`;
  };
  byId("export").addEventListener("click", () => {
    const link = element("a");
    link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
    link.download = "decisions.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  const codes = [...new Set(classesOf.flat())];
  codes.sort((a, b) => classes[a].localeCompare(classes[b], "en", { numeric: true }));
  for (const code of codes) {
    const option = element("option", "", classes[code]);
    option.value = code;
    ofClass.append(option);
  }
  ofClass.parentElement.hidden = !codes.length;
  for (const [control, event] of [[search, "input"], [ofClass, "change"], [ofDecision, "change"], [order, "change"]]) {
    control.addEventListener(event, select);
  }
  byId("before").addEventListener("click", () => turn(-1));
  byId("after").addEventListener("click", () => turn(1));
  for (const button of document.querySelectorAll("button[data-class]")) {
    button.addEventListener("click", () => choose({ ofClass: button.dataset.class, name: button.textContent }));
  }
  byId("browse").hidden = false;
  byId("static").hidden = true;
  tellExport();
  select();
})();
