"""What the road bears: rates and times, each measured against something measured in the same minutes.

``python -m tests.bench`` runs it; ``docs/performance.md`` tells what came out and how to read it.
"""
