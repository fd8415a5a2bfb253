async def signatories(request):
    raise NotImplementedError
