package client

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ParseBucket reads "BUDGET=BURST/REFILL", such as "ecs service modify=100/10": requests at once, and requests a second
// after that, as AWS allows them to an account whose limit was raised. BUDGET is one of the Bucket… names, which the metrics have
// as their label too.
func ParseBucket(text string) (name string, b Bucket, err error) {
	name, numbers, _ := strings.Cut(text, "=")
	known := defaultBuckets()
	if _, ok := known[name]; !ok {
		return "", b, fmt.Errorf("%q is no budget; the budgets are: %s", name, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
	}
	burst, refill, _ := strings.Cut(numbers, "/")
	var bad [2]error
	b.Burst, bad[0] = strconv.ParseFloat(burst, 64)
	b.Refill, bad[1] = strconv.ParseFloat(refill, 64)
	if errors.Join(bad[:]...) != nil || !(b.Burst >= 1 && b.Burst <= 1e6) || !(b.Refill > 0 && b.Refill <= 1e6) {
		return "", Bucket{}, fmt.Errorf("%q are not the limits of a budget; write %s=BURST/REFILL, such as %[2]s=%g/%g: requests at once, of which there is one at least, and requests a second",
			numbers, name, known[name].Burst, known[name].Refill)
	}
	return name, b, nil
}
