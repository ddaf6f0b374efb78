//go:build !race

package desired_test

const raced = false
