"""Who asks: many subjects, since a service may treat one that asks too often as it deserves."""

import json
import time
from dataclasses import dataclass

from joserfc import jwt
from joserfc.jwk import ECKey

ISSUER = "https://issuer.bench"
SUBJECTS = 400
TOKEN_SECONDS = 3600


def subject_of(number: int) -> str:
    """Return a subject's name."""
    return f"bench-{number:08x}"


@dataclass(frozen=True, slots=True)
class Identity:
    """Tokens of the subjects by their numbers, and the keys that prove them."""

    tokens: tuple[str, ...]
    jwks: str

    @property
    def settings(self) -> dict[str, str]:
        """Return how a service is told whom to believe."""
        return {"JWT_ISSUER_URI": ISSUER, "JWT_JWKS": self.jwks}


def make_identity(subjects: int = SUBJECTS) -> Identity:
    """Make a key, and a token for each subject."""
    key = ECKey.generate_key("P-256", parameters={"kid": "bench", "alg": "ES256", "use": "sig"})
    now = int(time.time())
    times = {"iss": ISSUER, "iat": now, "exp": now + TOKEN_SECONDS}
    tokens = tuple(
        jwt.encode({"alg": "ES256", "kid": "bench"}, {**times, "sub": subject_of(number)}, key)
        for number in range(subjects)
    )
    return Identity(tokens, json.dumps({"keys": [key.as_dict(private=False)]}))
