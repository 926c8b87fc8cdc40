//! Harnesses for the tests of gantri: scripted servers, image fixtures, process helpers.
