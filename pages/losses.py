from lib import methods, widgets, widgets_charts

current = widgets.need_runs()
widgets_charts.axis_notes(current)
for task in widgets.focus(current.study):
    widgets_charts.family(current, task, "loss", height=460, alone=True)

widgets.how(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
