"""Faults of a page for people who cannot see it well: axe-core's findings, and the contrast of text in charts."""

from axe_playwright_python.base import AXE_SCRIPT

from tests.support.browser import CHART, Visitor

#: Findings in what Streamlit and Vega draw, as (rule, selector): the project cannot change them. Any other is a fault.
NOT_OURS = (
    # Streamlit's file uploader: an area for the pointer, with a real button inside of it.
    ("presentation-role-conflict", "[data-testid=stFileUploaderDropzone]"),
)
#: The same in elements that last for seconds, so that not every run finds them.
#: Streamlit's notice of an event: a dialog by its role, to which no name can be given.
PASSING = (("aria-dialog-name", "[data-testid=stToast]"),)

# An element may leave the page while axe-core runs: it is kept, not looked up by its selector afterwards.
_FIND = """async allowed => {
    const result = await axe.run(document, {resultTypes: ['violations'], elementRef: true});
    const excuse = (id, node) => allowed.findIndex(([rule, selector]) => rule === id && node.element?.matches(selector));
    return result.violations.flatMap(({id, impact, nodes}) => nodes.map(node => [excuse(id, node),
        `${id} (${impact}): ${node.html.slice(0, 200)}: `
            + [...node.any, ...node.all, ...node.none].map(check => check.message).join('; ')]));
}"""

#: axe-core does not know the ground behind text in a drawing; it is the page's. WCAG 2.2, 1.4.3: 4.5 to 1.
_PALE = """([charts, least]) => {
    const parts = color => (color.match(/[\\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = parts(getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor);
    const opacity = (node, top) => node === top ? 1 : Number(getComputedStyle(node).opacity) * opacity(node.parentNode, top);
    return [...document.querySelectorAll(charts)].flatMap(chart => [...chart.querySelectorAll('svg text')].flatMap(text => {
        const style = getComputedStyle(text), [r, g, b, alpha = 1] = parts(style.fill);
        const share = alpha * Number(style.fillOpacity) * opacity(text, chart);
        if (!text.textContent.trim() || share === 0) return [];
        const shown = light([r, g, b].map((c, i) => share * c + (1 - share) * ground[i])), behind = light(ground);
        const contrast = (Math.max(shown, behind) + 0.05) / (Math.min(shown, behind) + 0.05);
        return contrast < least ? [`${text.textContent}: ${style.fill} x ${share} at ${contrast.toFixed(2)} to 1`] : [];
    }));
}"""


def findings(visitor: Visitor, excused: set[tuple[str, str]] | None = None) -> list[str]:
    """Axe-core's findings on the page, without those excused above; `excused` gathers the excuses that were used."""
    visitor.page.evaluate(AXE_SCRIPT)
    allowed = (*NOT_OURS, *PASSING)
    rows = visitor.page.evaluate(_FIND, [list(pair) for pair in allowed])
    if excused is not None:
        excused |= {allowed[index] for index, _ in rows if index >= 0} - {*PASSING}
    return [text for index, text in rows if index < 0]


def pale_texts(visitor: Visitor, least: float = 4.5) -> list[str]:
    """The texts in charts with too little contrast to the page."""
    texts: list[str] = visitor.page.evaluate(_PALE, [CHART, least])
    return texts
