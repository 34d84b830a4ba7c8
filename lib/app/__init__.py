"""The app's side of Streamlit. Only this package, pages/ and streamlit_app.py import it."""
