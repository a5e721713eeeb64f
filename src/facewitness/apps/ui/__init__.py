"""The web page of `facewitness serve`: drop a picture or film, see who is forged, where and why, and ask about it.

Pages are written here and sent whole (Jinja2, autoescaped); one script and one style sheet of this package make them
move. Nothing is built, fetched or loaded from elsewhere, and every page forbids it (Content-Security-Policy). Without
script the pages still read: upload, history, report and questions are plain forms.

    routes      the addresses of pages
    view        what a page shows of a report, in words
    words       the one catalogue of what pages say: words/en.json
"""
