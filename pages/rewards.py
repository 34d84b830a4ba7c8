from lib.app.widgets import baselines, charts, page_frame
from lib.report import methods

current = page_frame.require_runs()
baselines.baselines(current)
charts.family_page(current, "reward")

page_frame.explanation(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
