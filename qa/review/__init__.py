"""The review app: reviewers hear the worst moments first, ask for new takes, and decide.

`create_app` of `qa.review.app` makes it over a database and an object store. It knows the storage room and
QA's reports, and nothing of how speech is made: what submits a book or follows an approval is given to it.
"""
