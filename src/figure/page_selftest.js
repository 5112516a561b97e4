// With #selftest the page examines itself and writes what it found into the document. Only the tests ask for it.
