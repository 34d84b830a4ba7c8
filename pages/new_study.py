from lib.app.session.page_input import page_input
from lib.app.widgets import landing, new_study, page_frame
from lib.app.widgets import study as study_widgets
from lib.report import methods

page_input()
new_study.new_study()
study_widgets.editor(landing.land)

page_frame.explanation(methods.SOURCES)
