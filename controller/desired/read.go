package desired

// Report adds an error at a path of the file, such as report("… must be …", "routes", "0", "receiver").
type Report func(message string, path ...string)

// Read reads a file of another kind than those of an environment's folder, as strictly and with the same errors: into points to a
// struct with apiVersion, kind and what the kind has. check, which may be nil, is called when the whole was read, and reports what
// else is wrong. The errors are in order of position.
func Read(file string, data []byte, kind string, into any, check func(Report)) []Error {
	s := open(file, data, Kinds{})
	if s.read(into, kind) && check != nil {
		check(s.report)
	}
	return s.sorted()
}
