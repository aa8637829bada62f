//! No code: the manifest beside it names features of dependencies that the programs and the tests of this workspace share.
