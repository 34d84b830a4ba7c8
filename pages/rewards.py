from lib import methods, widgets

current = widgets.need_runs()
for task in current.study.tasks:
    widgets.family(current, task, "reward", height=460, heading=True)

widgets.how(f"{methods.curves_text(current.view)}\n\n{methods.DETACH}")
