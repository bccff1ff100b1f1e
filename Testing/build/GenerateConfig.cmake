# Slicer writes the extension's description from these variables.
set(_text "")
foreach(_name HOMEPAGE CATEGORY CONTRIBUTORS DESCRIPTION ICONURL SCREENSHOTURLS DEPENDS LICENSE_FILE README_FILE)
  if("${EXTENSION_${_name}}" STREQUAL "")
    message(FATAL_ERROR "EXTENSION_${_name} is not set")
  endif()
  string(APPEND _text "${_name}=${EXTENSION_${_name}}\n")
endforeach()
file(WRITE "${CMAKE_BINARY_DIR}/description.txt" "${_text}")
