// Draws the table that matrix.py describes. Names are others' texts: they are set as text, never as markup.

const PADDING = 6 // percent of a mark's width on each side, for the point at its end
const SHAPES = {
  disc: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
  ring: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0",
  diamond: "M0,-5.5L5.5,0L0,5.5L-5.5,0Z",
  square: "M-4,-4H4V4H-4Z",
  dashes: "M-5,0h3M-1.5,0h3M2,0h3",
}

function node(tag, attributes = {}, ...children) {
  const svg = ["svg", "line", "path", "rect"].includes(tag)
  const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children.filter((child) => child !== ""))
  return element
}

function point(shape, x) {
  return node("svg", { x, y: 6, overflow: "visible" }, node("path", { d: SHAPES[shape], class: `point ${shape}` }))
}

// The mark of a verdict alone.
function sign({ shape, color }) {
  return node("svg", { class: `sign ${color}`, viewBox: "-6 -6 12 12", "aria-hidden": "true" },
    node("path", { d: SHAPES[shape], class: `point ${shape}` }))
}

// A change and its interval, from -1 to 1; an end beyond the scale has an arrow's head.
function mark({ place, margin, shape, color }) {
  const percent = (value) => 50 + Math.max(-1, Math.min(1, value)) * (50 - PADDING)
  const at = (value) => `${percent(value)}%`
  const svg = node("svg", { class: `mark ${color}`, "aria-hidden": "true" })
  if (margin) {
    const [low, high] = margin.map(percent)
    svg.append(node("rect", { class: "margin", x: `${low}%`, width: `${high - low}%`, y: 0, height: 12 }))
  }
  svg.append(node("line", { class: "axis", x1: "0%", x2: "100%", y1: 6, y2: 6 }))
  svg.append(node("line", { class: "zero", x1: "50%", x2: "50%", y1: 0, y2: 12 }))
  if (place) {
    const [low, change, high] = place
    svg.append(node("line", { class: `interval ${shape}`, x1: at(low), x2: at(high), y1: 6, y2: 6 }))
    for (const [end, way] of [[low, -1], [high, 1]]) {
      if (Math.abs(end) > 1) svg.append(node("svg", { x: at(end), y: 6, overflow: "visible" },
        node("path", { d: `M0,-4L${5 * way},0L0,4`, class: "point ring" })))
    }
    if (Math.abs(change) <= 1) svg.append(point(shape, at(change)))
  }
  return svg
}

// As the browser's own way forward: one entry of its history, with every setting.
function follow(link) {
  history.pushState({}, "", link.href)
  dispatchEvent(new PopStateEvent("popstate"))
}

function cellLink(cell, tip) {
  const levels = cell.levels.map(([arm, text]) =>
    node("span", { class: "level" }, node("span", { class: "word" }, `${arm} `), text))
  const link = node("a", { class: "cell", "aria-label": cell.label },
    node("span", { class: "name" }, cell.name), mark(cell),
    node("span", { class: `value ${cell.color}` }, node("span", { class: "change" }, cell.change),
      ...(cell.interval ? [" ", node("span", { class: "interval-text" }, cell.interval)] : [])),
    ...(levels.length ? [node("span", { class: "levels" }, ...levels)] : []))
  // The address has the page's settings, and changes without a new table.
  const aim = () => {
    const url = new URL(`detach_effect${location.search}`, location.href)
    for (const [name, value] of Object.entries(cell.query)) url.searchParams.set(name, value)
    link.href = url
  }
  aim()
  const hint = "Click for the evidence."
  let isTouched = false
  link.onpointerenter = (event) => {
    aim()
    if (event.pointerType === "mouse") tip.show(cell, link, hint)
  }
  link.onpointerleave = (event) => event.pointerType === "mouse" && tip.leave()
  link.onpointerdown = (event) => { isTouched = event.pointerType !== "mouse" }
  link.onfocus = () => {
    aim()
    if (link.matches(":focus-visible")) tip.show(cell, link, hint)
  }
  link.onblur = () => tip.hide()
  link.onclick = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return // a new tab or window
    event.preventDefault()
    if (isTouched && tip.link !== link) tip.show(cell, link, "Tap again for the evidence.")
    else {
      aim()
      tip.hide()
      follow(link)
    }
  }
  return link
}

function table(data, tip) {
  const noted = ({ label, note }) => [label, note ? node("span", { class: "quiet" }, ` ${note}`) : ""]
  // On a phone the lines of a long list are folded, but the first: a folded one has the signs of its verdicts.
  const first = data.lines[0]
  const fold = (line) => {
    const signs = line.rows.flat().filter(Boolean).map(sign)
    const button = node("button", { class: "fold", type: "button", "aria-expanded": line === first },
      node("span", {}, ...noted(line)), node("span", { class: "signs" }, ...signs))
    button.onclick = () => {
      const isOpen = button.getAttribute("aria-expanded") === "true"
      button.setAttribute("aria-expanded", !isOpen)
      const rows = button.closest("tbody").querySelectorAll(`[data-line="${data.lines.indexOf(line)}"]`)
      for (const row of rows) row.classList.toggle("folded", isOpen)
    }
    return button
  }
  const name = (line) => data.isFolded ? [node("span", { class: "unfolded" }, ...noted(line)), fold(line)] : noted(line)
  const armColumns = data.armsAreBeside ? data.arms : []
  const armRows = data.armsAreBeside ? [] : data.arms
  const armHead = (arm, scope) => node("th", { scope, class: "quiet arm", title: arm }, arm)
  const head = node("tr", {}, node("td", { class: "corner" }),
    ...(armRows.length ? [node("td", { class: "quiet arms" }, data.armsShare)] : []),
    ...data.heads.map((one) => node("th", { scope: "col", colspan: armColumns.length || 1 }, ...noted(one))))
  const arms = data.heads.flatMap(() => armColumns.map((arm) => armHead(arm, "col")))
  const rows = data.lines.flatMap((line) => line.rows.map((cells, place) => node("tr",
    {
      class: [place < line.rows.length - 1 ? "more" : line.isAcross ? "across" : "",
        data.isFolded && line !== first ? "folded" : ""].join(" "),
      "data-line": data.lines.indexOf(line),
    },
    ...(place ? [] : [node("th", { scope: line.rows.length > 1 ? "rowgroup" : "row", rowspan: line.rows.length }, ...name(line),
      ...line.levels.map((name) => node("span", { class: "level", "aria-hidden": "true" }, name)))]),
    ...(armRows.length ? [armHead(armRows[place], "row")] : []),
    ...cells.map((cell) => node("td", {}, ...(cell ? [cellLink(cell, tip)] : []))))))
  const changes = data.lines.flatMap((line) => line.rows.flat()).map((cell) => cell ? cell.change.length : 0)
  const longest = (texts) => Math.max(0, ...texts.map((text) => text.length))
  const sizes = {
    columns: data.heads.length * (armColumns.length || 1),
    signs: Math.max(...changes),
    arm: armRows.length ? longest([...armRows, data.armsShare]) : 0,
  }
  return node("table", { style: Object.entries(sizes).map(([name, size]) => `--${name}: ${size}`).join("; ") },
    node("caption", { hidden: "" }, "Changes by task and metric"),
    node("thead", {}, head, ...(arms.length ? [node("tr", {}, node("td", { class: "quiet share" }, data.armsShare), ...arms)] : [])),
    node("tbody", {}, ...rows))
}

function legend(data) {
  const entries = data.legend.map(([shape, color, text]) => node("span", {}, sign({ shape, color }), text))
  return node("div", { class: "legend quiet" }, ...entries,
    node("span", {}, data.hint))
}

// What a cell says in full, on hover, on focus, and at a first tap; Escape takes it away.
class Tip {
  constructor() {
    this.element = node("div", { class: "tip", popover: "manual", role: "tooltip", id: "tip" })
    this.element.onpointerenter = () => clearTimeout(this.leaving)
    this.element.onpointerleave = () => this.leave()
  }

  show(cell, link, hint) {
    clearTimeout(this.leaving)
    this.link?.removeAttribute("aria-describedby")
    this.link = link
    link.setAttribute("aria-describedby", "tip")
    this.element.replaceChildren(...cell.tip.map((text) => node("div", {}, text)), node("div", { class: "quiet" }, hint))
    this.element.showPopover()
    const box = link.getBoundingClientRect()
    const { width, height } = this.element.getBoundingClientRect()
    const isBelow = box.bottom + height + 4 < innerHeight
    this.element.style.left = `${Math.max(4, Math.min(box.left, innerWidth - width - 4))}px`
    this.element.style.top = `${Math.max(4, isBelow ? box.bottom + 2 : box.top - height - 2)}px`
  }

  // With a pause in which the pointer can move onto it.
  leave() {
    clearTimeout(this.leaving)
    this.leaving = setTimeout(() => this.hide(), 150)
  }

  hide() {
    clearTimeout(this.leaving)
    this.link?.removeAttribute("aria-describedby")
    this.link = null
    if (this.element.matches(":popover-open")) this.element.hidePopover()
  }
}

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".matrix")
  const tip = new Tip()
  const columns = data.lines[0].rows[0].length
  const hasWords = data.lines.every((line) => !line.levels.length)
  root.className = ["matrix", hasWords ? "words" : "", columns === 1 ? "single" : columns > 6 ? "many" : ""].join(" ")
  root.replaceChildren(node("div", { class: "scroll" }, table(data, tip)), legend(data), tip.element)
  root.onkeydown = (event) => { if (event.key === "Escape") tip.hide() }
  root.onwheel = () => tip.hide()
}
