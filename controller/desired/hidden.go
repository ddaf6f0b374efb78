package desired

// LooksSecret reports whether a variable would hold a secret by its name, or holds one by its value. No file may say such a
// thing; what the infrastructure wrote into a template may, and is not to be shown.
func LooksSecret(name, value string) bool {
	return value != "" && (namesSecret(name) || secretLike(value) != "")
}
