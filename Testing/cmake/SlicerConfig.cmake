# A stand-in for the build tree of 3D Slicer: what find_package(Slicer) gives to an extension of scripted modules.
# It lays files out and installs them as Slicer 5's own macros do, so that a test can see what a package would hold.

set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionGenerateConfig.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/SlicerExtensionCPack.cmake)
