"""Documents for other frameworks, read by a Pagefan server; each module needs the framework that it is named after."""
