"""The client for asyncio. What each method does is said by its namesake in `_sync`."""
