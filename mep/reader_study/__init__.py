"""Reader studies: can experts tell generated images from real ones?

draw(store, run_id, ...) -> Study     study.py       which images, in which order, and the key
page(study)                           page.py        one HTML file without the key
read_answers(paths, ...)              answers.py     what readers sent back
score(answers, key)                   scoring.py     sensitivity, specificity, accuracy, agreement
"""
