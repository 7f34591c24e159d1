"""Faults of the corpus, the chunking and the metadata: what ingestion puts into the catalog."""

from collections.abc import Callable
from dataclasses import replace

from firstfault.drill.fault import Fault
from firstfault.drill.sandbox import Sandbox, edit_quotes, labelled, replaced
from firstfault.drill.text import contradict, unreadable
from firstfault.errors import FirstfaultError, InputError
from firstfault.evaluate.evidence import find
from firstfault.stages import Stage
from firstfault.types import ChunkedDocument, Document

_CASES = "share of the cases whose documents are hit"


def _documents_removed(sandbox: Sandbox, severity: float) -> None:
    sandbox.retire(sandbox.documents_of(sandbox.chosen(severity, "documents")))


def _old_revision(sandbox: Sandbox, severity: float) -> None:
    """The statements that the cases rely on stand there as they were before they were revised."""
    quotes = sandbox.quotes_of(sandbox.chosen(severity, "documents"))

    def older(document: Document) -> Document:
        random = sandbox.random(document.id)
        text = edit_quotes(document.text, quotes[document.id], lambda quote: contradict(quote, random))
        return replaced(document, text)

    sandbox.rewrite(list(quotes), older)


def _draft_reinstated(sandbox: Sandbox, severity: float) -> None:
    """An early draft: the paragraphs stand, the later statements are not written yet."""
    quotes = sandbox.quotes_of(sandbox.chosen(severity, "documents"))

    def draft(document: Document) -> Document:
        text = edit_quotes(document.text, quotes[document.id], lambda _: "To be confirmed.")
        return replaced(document, text)

    sandbox.rewrite(list(quotes), draft)


def _fail(content: bytes, *, keep_old: bool) -> Callable[[Sandbox, float], None]:
    """Files that cannot be read: never ingested, or, with `keep_old`, served as they were before."""

    def inject(sandbox: Sandbox, severity: float) -> None:
        cases = sandbox.chosen(severity, "documents")
        documents = sandbox.documents_of(cases)
        if keep_old:
            _old_revision(sandbox, severity)
        else:
            sandbox.retire(documents)
        folder = sandbox.home.parent / "files"
        for document_id in documents:
            file = folder / document_id
            if not file.resolve().is_relative_to(folder.resolve()):
                raise InputError(f"'{document_id}' is no name for a file.", hint="Drill another fault.")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        plain = [folder / one for one in documents if "/" not in one]
        nested = [folder] if len(plain) < len(documents) else []
        with sandbox.application(create=True) as app:
            try:
                app.ingest(nested or plain)
            except FirstfaultError as error:
                reason = str(error)
            failed = {failure.document_id for failure in app.collection.failures()}
        if not failed & set(documents):
            raise InputError(f"The files could be read after all: {reason}.", hint="Drill another fault.")

    return inject


def _unreadable_text(sandbox: Sandbox, severity: float) -> None:
    sandbox.rewrite(
        sandbox.documents_of(sandbox.chosen(severity, "documents")),
        lambda document: replaced(document, unreadable(document.text, sandbox.random(document.id))),
    )


def _cut_off(sandbox: Sandbox, severity: float) -> None:
    """Every document ends just before the first statement that a case relies on."""
    quotes = sandbox.quotes_of(sandbox.chosen(severity, "documents"))

    def cut(document: Document) -> Document:
        places = [place for quote in quotes[document.id] for place in find(quote, document.text)]
        start = min((start for start, _ in places), default=len(document.text) // 2)
        kept = document.text[:start].strip()
        return replaced(document, kept or document.title or "…")

    sandbox.rewrite(list(quotes), cut)


def _login_page(sandbox: Sandbox, severity: float) -> None:
    page = (
        "Please sign in to continue. Your session has expired. Forgot your password? Contact the help desk."
    )
    sandbox.rewrite(
        sandbox.documents_of(sandbox.chosen(severity, "documents")),
        lambda document: replaced(document, page),
    )


def _chunk_gaps(sandbox: Sandbox, severity: float) -> None:
    """Documents are stored whole, but no chunk holds the statements that the cases rely on."""
    from firstfault.ingest import Chunker

    quotes = sandbox.quotes_of(sandbox.chosen(severity, "documents"))
    with sandbox.application(create=True) as app:
        chunker = Chunker(app.settings.chunking, app.embedder)
        torn = []
        for document_id in quotes:
            document = app.collection.document(document_id)
            holes = [place for quote in quotes[document_id] for place in find(quote, document.text)]
            spans = [span for one in chunker.chunk(document).spans for span in _without(one, holes)]
            again = replace(document, revision=f"{document.revision[:56]}{0:08d}")
            torn.append(ChunkedDocument(document=again, spans=tuple(spans)))
        for _ in app.collection.add_all(torn):
            pass


def _without(span: tuple[int, int], holes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of a span when holes are cut out of it."""
    left = [span]
    for hole_start, hole_end in holes:
        left = [
            piece
            for start, end in left
            for piece in ((start, min(end, hole_start)), (max(start, hole_end), end))
            if piece[1] - piece[0] > 1
        ]
    return left


def _tiny_chunks(sandbox: Sandbox, severity: float) -> None:
    sandbox.set(chunking__max_tokens=round(64 - 48 * severity), chunking__overlap_tokens=0)
    sandbox.reingest()


def _no_overlap(sandbox: Sandbox, severity: float) -> None:
    sandbox.set(
        chunking__kind="recursive",
        chunking__max_tokens=round(80 - 48 * severity),
        chunking__overlap_tokens=0,
    )
    sandbox.reingest()


def _wrong_metadata(sandbox: Sandbox, severity: float) -> None:
    sandbox.rewrite(
        sandbox.documents_of(sandbox.chosen(severity, "documents")),
        lambda document: labelled(document, {"audience": "internal"}),
    )


def _misspelt_metadata(sandbox: Sandbox, severity: float) -> None:
    sandbox.rewrite(
        sandbox.documents_of(sandbox.chosen(severity, "documents")),
        lambda document: labelled(document, {"audience": "Public "}),
    )


def _wrong_filter(sandbox: Sandbox, severity: float) -> None:
    chosen = sandbox.chosen(severity, "filters")
    others = sandbox.documents_of(case for case in sandbox.cases if case not in chosen)
    own = set(sandbox.documents_of(chosen))
    sandbox.rewrite(
        [one for one in others if one not in own][:3],
        lambda document: labelled(document, {"audience": "staff"}),
    )
    sandbox.change_cases([case.id for case in chosen], lambda case: replace(case, where='audience = "staff"'))


def _outdated_filter(sandbox: Sandbox, severity: float) -> None:
    chosen = sandbox.chosen(severity, "filters")
    sandbox.change_cases(
        [case.id for case in chosen], lambda case: replace(case, where='audience = "public" and year >= 2025')
    )
    sandbox.rewrite(
        sandbox.documents_of(case for case in sandbox.cases if case not in chosen)[:1],
        lambda document: labelled(document, {"year": 2026}),
    )


FAULTS = (
    Fault(
        name="documents_removed",
        stage=Stage.CORPUS,
        cause="missing_document",
        summary="documents that hold the evidence are taken out of the corpus",
        dial=_CASES,
        inject=_documents_removed,
    ),
    Fault(
        name="old_revision",
        stage=Stage.CORPUS,
        cause="stale_document",
        summary="an older text of the documents is ingested over the current one",
        dial=_CASES,
        inject=_old_revision,
    ),
    Fault(
        name="failed_ingest",
        stage=Stage.CORPUS,
        cause="failed_ingest",
        summary="the files of the documents are damaged and could not be ingested",
        dial=_CASES,
        inject=_fail(
            b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< /Length 812 >>\nstream\n\x00\xff", keep_old=False
        ),
    ),
    Fault(
        name="unreadable_text",
        stage=Stage.CHUNK,
        cause="lost_text",
        summary="a bad extractor leaves glyph numbers in the place of the text",
        dial=_CASES,
        inject=_unreadable_text,
    ),
    Fault(
        name="tiny_chunks",
        stage=Stage.CHUNK,
        cause="split_evidence",
        summary="documents are cut into chunks of 64 to 16 tokens",
        dial="how small the chunks are",
        inject=_tiny_chunks,
        severity=1.0,
    ),
    Fault(
        name="no_overlap",
        stage=Stage.CHUNK,
        cause="split_evidence",
        summary="documents are cut by size alone, into 80 to 32 tokens, without overlap",
        dial="how small the chunks are",
        inject=_no_overlap,
        severity=1.0,
    ),
    Fault(
        name="wrong_metadata",
        stage=Stage.FILTER,
        cause="filter_excludes_evidence",
        summary="documents have a wrong value in the field that requests filter on",
        dial=_CASES,
        inject=_wrong_metadata,
        scene="filtered",
    ),
    Fault(
        name="wrong_filter",
        stage=Stage.FILTER,
        cause="filter_excludes_evidence",
        summary="requests filter on a value that their documents do not have",
        dial="share of the cases that ask so",
        inject=_wrong_filter,
        scene="filtered",
    ),
    Fault(
        name="draft_reinstated",
        stage=Stage.CORPUS,
        cause="stale_document",
        summary="an early draft, in which the statement is not yet written, is ingested over the document",
        dial=_CASES,
        inject=_draft_reinstated,
        set="blind",
    ),
    Fault(
        name="update_failed",
        stage=Stage.CORPUS,
        cause="failed_ingest",
        summary="the new file could not be read, so that the old text is still served",
        dial=_CASES,
        inject=_fail(b"%PDF-1.4\n\x00\x00\x00 truncated upload", keep_old=True),
        set="blind",
    ),
    Fault(
        name="cut_off",
        stage=Stage.CHUNK,
        cause="lost_text",
        summary="the extractor stops in the middle of the documents",
        dial=_CASES,
        inject=_cut_off,
        set="blind",
    ),
    Fault(
        name="login_page",
        stage=Stage.CHUNK,
        cause="lost_text",
        summary="a crawler stored the sign-in page in the place of the documents",
        dial=_CASES,
        inject=_login_page,
        set="blind",
    ),
    Fault(
        name="chunk_gaps",
        stage=Stage.CHUNK,
        cause="lost_text",
        summary="the documents are stored whole, but the chunks leave holes",
        dial=_CASES,
        inject=_chunk_gaps,
        set="blind",
    ),
    Fault(
        name="misspelt_metadata",
        stage=Stage.FILTER,
        cause="filter_excludes_evidence",
        summary='documents are labelled "Public " where requests filter on "public"',
        dial=_CASES,
        inject=_misspelt_metadata,
        scene="filtered",
        set="blind",
    ),
    Fault(
        name="outdated_filter",
        stage=Stage.FILTER,
        cause="filter_excludes_evidence",
        summary="requests ask for a year that their documents are too old for",
        dial="share of the cases that ask so",
        inject=_outdated_filter,
        scene="filtered",
        set="blind",
    ),
)
