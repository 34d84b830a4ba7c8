from lib.app.session.current import opened_study
from lib.app.widgets import landing, new_study, page_frame
from lib.app.widgets import study as study_widgets
from lib.report import methods

opened_study()
new_study.new_study()
study_widgets.editor(landing.land)

page_frame.explanation(methods.SOURCES)
