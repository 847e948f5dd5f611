#!/bin/sh
# Makes sure of what lies outside Python: EGL, OpenGL and Mesa's software renderer for off-screen rendering, Qt's libraries
# and a font for the stand-in of the Slicer application, a browser for the tests of the browser reviewer, a checker of DICOM.
# Installs them where it may; otherwise says in one line what to install. Never fails: only those parts need them.

[ "$(uname -s)" = Linux ] || exit 0

packages="libegl1 libgl1 libgl1-mesa-dri libxkbcommon0 libdbus-1-3 libfontconfig1 libglib2.0-0 fonts-dejavu-core"
# The browser is chromium in Debian; Ubuntu's package of that name is a wrapper that containers cannot run.
[ "$(. /etc/os-release 2>/dev/null && echo "$ID")" = debian ] && packages="$packages chromium chromium-driver"
# dciodvfy checks the DICOM objects that tests write.
packages="$packages dicom3tools"

if command -v dpkg-query >/dev/null 2>&1; then
    missing=
    for package in $packages; do
        dpkg-query --show --showformat='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
            missing="$missing $package"
    done
    [ -n "$missing" ] || exit 0
    if [ "$(id -u)" = 0 ]; then
        echo "Installing system libraries for rendering and browser tests:$missing"
        export DEBIAN_FRONTEND=noninteractive
        # Package lists may be absent (containers) or old: they are fetched only when the install fails without.
        # shellcheck disable=SC2086  # a list of words
        if apt-get install -y -qq --no-install-recommends $missing >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing; } >/dev/null 2>&1; then
            exit 0
        fi
    fi
    echo "System libraries for rendering and browser tests are missing; to install them: sudo apt-get install$missing"
    exit 0
fi

libraries=$(PATH="$PATH:/sbin:/usr/sbin" ldconfig -p 2>/dev/null)
case $libraries in
*libEGL.so.1*libGL.so.1* | *libGL.so.1*libEGL.so.1*) ;;
*) echo "System libraries for rendering seem to be missing: libEGL.so.1, libGL.so.1 and Mesa's software renderer" \
    "(on Fedora: mesa-libEGL mesa-libGL mesa-dri-drivers)" ;;
esac
exit 0
