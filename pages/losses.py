from lib.app.widgets import charts, page_frame
from lib.report import methods

current = page_frame.require_runs()
charts.family_page(current, "loss")

page_frame.explanation(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
