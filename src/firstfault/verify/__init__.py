"""(contexts, claim) in, a calibrated verdict with its evidence and named signals out: locally, in
milliseconds."""

from firstfault.verify.local import LocalVerifier, Verifier, verify, verify_claims
from firstfault.verify.opening import open_verifier
from firstfault.verify.sentences import split_claims, without_citations

__all__ = [
    "LocalVerifier",
    "Verifier",
    "open_verifier",
    "split_claims",
    "verify",
    "verify_claims",
    "without_citations",
]
