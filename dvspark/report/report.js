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
  const CELL_LABELS = 8;
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
  // Classes are told apart by their codes: their names are cut.
  const classesOf = (name, row) => [columns[name]?.[row] ?? []].flat();
  const named = (codes) => codes.map((code) => data.classes[code]).join(", ");
  const label = all.map((row) => (columns.class ? named(classesOf("class", row)) : text("label", row)));
  const suggested = all.map((row) => (columns.suggested_class
    ? named(classesOf("suggested_class", row)) : text("suggested_label", row)));
  const searched = all.map((row) => {
    const cell = columns.shown ? columns.shown.cells[row] : null;
    const words = [columns.id_text[row], label[row], text("owner", row), suggested[row], text("reason", row),
      cell && cell[0] !== "picture" ? cell[1] : ""];
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
  // A class of validation rows alone, or of a suggestion, may have no rows in the page.
  const classButton = (code) => (code < data.n_listed
    ? linkButton(data.classes[code], "Show the rows of this class", { ofClass: code }) : foreign(data.classes[code]));
  const classButtons = (codes) => [
    ...codes.slice(0, CELL_LABELS).flatMap((code, place) => [place ? ", " : "", classButton(code)]),
    codes.length > CELL_LABELS ? ", and more" : ""];
  const labeled = (name, row, words) => columns[name] ? classButtons(classesOf(name, row)) : [foreign(words)];
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
    const made = cell("Label", "label",
      ...(label[row] ? labeled("class", row, label[row]) : [element("i", "absent", "no label")]));
    if (number("is_other", row)) {
      const score = number("suggested_score", row);
      made.append(element("span", "suggested", element("span", "mark", "→ "),
        ...labeled("suggested_class", row, suggested[row]),
        score === null ? "" : element("small", "", ` ${percent(score)}`)));
    }
    return made;
  };
  const valueCell = (row) => {
    const value = columns.value[row], error = number("standard_error", row);
    return cell(data.unit ? `Value, ${data.unit}` : "Value", value < 0 ? "n below" : "n", shown(value),
      error === null ? "" : element("small", "", `± ${shown(error)}`));
  };
  const nearLabel = (name) => (typeof name === "string" ? [foreign(name)]
    : name === null ? [element("i", "absent", "no label")] : classButtons([name].flat()));
  const nearCell = (row) => {
    const list = element("ol", "near");
    for (const [id, name, distance, differs] of (columns.near || {})[row] || []) {
      list.append(element("li", differs ? "differs" : "",
        differs ? element("span", "mark", "≠ ") : "", ...nearLabel(name), element("span", "near-id", foreign(id)),
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
    rowCell(row), ...(columns.class || columns.label ? [labelCell(row)] : []), valueCell(row), ...(columns.near ? [nearCell(row)] : []), decisionCell(row));

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
      && (!ofClass.value || classesOf("class", row).includes(Number(ofClass.value)))
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
    // A button without effect loses the focus, and the next press of Tab would begin at the top of the page.
    const [pressed, other] = by < 0 ? ["before", "after"] : ["after", "before"];
    if (byId(pressed).disabled) byId(other).focus({ preventScroll: true });
  };
  const choose = (wanted) => {
    search.value = wanted.search ?? "";
    ofClass.value = wanted.ofClass ?? "";
    ofDecision.value = "";
    select();
    byId("rows").scrollIntoView();
    // The button may be gone with its row: Tab goes on at the rows.
    lines.closest(".scroll").focus({ preventScroll: true });
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

  const listed = data.classes.slice(0, data.n_listed).map((name, code) => [name, code]);
  for (const [name, code] of listed.sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true }))) {
    const option = element("option", "", name);
    option.value = code;
    ofClass.append(option);
  }
  for (const [control, event] of [[search, "input"], [ofClass, "change"], [ofDecision, "change"], [order, "change"]]) {
    control.addEventListener(event, select);
  }
  byId("before").addEventListener("click", () => turn(-1));
  byId("after").addEventListener("click", () => turn(1));
  for (const button of document.querySelectorAll("button[data-class]")) {
    button.addEventListener("click", () => choose({ ofClass: Number(button.dataset.class) }));
  }
  byId("browse").hidden = false;
  byId("static").hidden = true;
  tellExport();
  select();
})();
