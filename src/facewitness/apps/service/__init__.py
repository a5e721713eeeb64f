"""What a server does, without HTTP: takes files in, analyses each once, keeps reports, answers questions about them.

    from facewitness.apps.service.service import Service
    from facewitness.apps.service.settings import Settings

    service = Service(Settings(data=Path("data")))
    service.start()
    analysis = service.submit(service.receive(pieces), "photo.jpg")
    service.wait(analysis.id, 30)
    service.report(analysis.id)                            the report, as `facewitness.analyze` gives it

`apps/api` (REST) and the web page call this and nothing below it.

    settings   what a server may do: folders, limits, times, who testifies
    tables     the tables of the database, and the way to their newest form (`migrations/`)
    store      what stands in the database: analyses, reports, turns of conversations, keys
    uploads    files as they were received, under their hash
    keys       who may call: API keys, of which only hashes are kept
    work       what runs in worker processes: analyse, draw, answer
    runner     the queue: claims jobs, hands them to the pool, writes down what came of them
    service    all of it together

Each is imported by its own name: a worker process needs `work` alone, and no database.
"""
