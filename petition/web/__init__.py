"""Everything that speaks HTTP. Nothing below this package knows Starlette."""
