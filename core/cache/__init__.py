"""The path of a request, from the first look to the stored answer."""
