# Folders as in Slicer on Linux and Windows; on macOS the install folder also names the bundle and the extension.
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.10/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR ./${Slicer_QTSCRIPTEDMODULES_LIB_DIR})

if(NOT EXTENSION_NAME)
  set(EXTENSION_NAME ${PROJECT_NAME})
endif()

# Copies each file into the build tree under the path it was given by, and installs the whole folder of scripted
# modules: a file that is not listed is not packaged, one that is listed but does not exist is an error.
macro(slicerMacroBuildScriptedModule)
  cmake_parse_arguments(STANDIN "WITH_GENERIC_TESTS" "NAME" "SCRIPTS;RESOURCES" ${ARGN})
  if(STANDIN_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule does not know: ${STANDIN_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT STANDIN_NAME OR NOT STANDIN_SCRIPTS)
    message(FATAL_ERROR "slicerMacroBuildScriptedModule needs NAME and SCRIPTS")
  endif()
  set(standin_folder ${CMAKE_BINARY_DIR}/${Slicer_QTSCRIPTEDMODULES_LIB_DIR})
  set(standin_copies)
  foreach(file IN LISTS STANDIN_SCRIPTS STANDIN_RESOURCES)
    if(NOT EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${file})
      message(FATAL_ERROR "${STANDIN_NAME} lists '${file}', which does not exist")
    endif()
    add_custom_command(
      OUTPUT ${standin_folder}/${file}
      DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${file}
      COMMAND ${CMAKE_COMMAND} -E copy ${CMAKE_CURRENT_SOURCE_DIR}/${file} ${standin_folder}/${file}
      )
    list(APPEND standin_copies ${standin_folder}/${file})
  endforeach()
  add_custom_target(Copy${STANDIN_NAME}Files ALL DEPENDS ${standin_copies})
  install(
    DIRECTORY ${standin_folder}/
    DESTINATION ${Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR}
    COMPONENT RuntimeLibraries
    )
endmacro()

set(Slicer_CLIMODULES_BIN_DIR lib/Slicer-5.10/cli-modules)
set(Slicer_INSTALL_CLIMODULES_BIN_DIR ./${Slicer_CLIMODULES_BIN_DIR})

# Copies <NAME>.py and <NAME>.xml of the current folder, and nothing else, into the folder of CLI modules.
macro(SlicerMacroBuildScriptedCLI)
  cmake_parse_arguments(STANDIN "NO_INSTALL;VERBOSE" "NAME;FOLDER" "" ${ARGN})
  if(STANDIN_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "SlicerMacroBuildScriptedCLI does not know: ${STANDIN_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT STANDIN_NAME)
    message(FATAL_ERROR "SlicerMacroBuildScriptedCLI needs NAME")
  endif()
  set(standin_folder ${CMAKE_BINARY_DIR}/${Slicer_CLIMODULES_BIN_DIR})
  set(standin_sources)
  set(standin_copies)
  foreach(ending py xml)
    set(file ${CMAKE_CURRENT_SOURCE_DIR}/${STANDIN_NAME}.${ending})
    list(APPEND standin_sources ${file})
    list(APPEND standin_copies ${standin_folder}/${STANDIN_NAME}.${ending})
    if(NOT EXISTS ${file})
      message(FATAL_ERROR "${STANDIN_NAME} needs '${file}', which does not exist")
    endif()
  endforeach()
  add_custom_command(
    OUTPUT ${standin_copies}
    DEPENDS ${standin_sources}
    COMMAND ${CMAKE_COMMAND} -E make_directory ${standin_folder}
    COMMAND ${CMAKE_COMMAND} -E copy ${standin_sources} ${standin_folder}
    )
  add_custom_target(${STANDIN_NAME} ALL DEPENDS ${standin_copies})
  install(FILES ${standin_sources} DESTINATION ${Slicer_INSTALL_CLIMODULES_BIN_DIR} COMPONENT Runtime)
endmacro()
