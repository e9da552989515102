"""Why a network answers as it does: where, when and which pathway, and whether that is so."""
