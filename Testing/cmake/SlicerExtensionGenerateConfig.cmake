# Slicer writes <Extension>Config.cmake here, for extensions that build on this one: nothing of it is packaged.
