package desired

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // the controller's image has no zone files, and a window must mean the same everywhere
)

var (
	// namePattern is a DNS label (RFC 1123): names go into tags, metrics and file names.
	namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	// accountPattern: https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-identifiers.html
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	regionPattern  = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]$`)
	clockPattern   = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)
	labelPattern   = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_./]{0,61}[A-Za-z0-9])?$`)
)

// labelMax is the longest value of a label.
const labelMax = 256

// weekdays are the days of a window as they are written.
var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

func (s *source) environment(env *Environment) {
	spec := &env.Spec
	s.metadata(env.Metadata)
	if !accountPattern.MatchString(spec.Account) {
		s.report("spec.account is not an AWS account; write its 12 digits in quotes", "spec", "account")
	}
	if !regionPattern.MatchString(spec.Region) {
		s.report(fmt.Sprintf("spec.region is %q; write an AWS region, such as eu-central-1", spec.Region), "spec", "region")
	}
	if spec.MaxConcurrentRollouts < 0 {
		s.report("spec.maxConcurrentRollouts is negative; write how many services may roll at once, or 0 for no limit", "spec", "maxConcurrentRollouts")
	}
	if n := spec.MassChange.AtLeast; n < 0 || n == 0 && s.has("spec", "massChange", "atLeast") {
		s.report(fmt.Sprintf("spec.massChange.atLeast is %d; write how many services must change at once, at least 1", n), "spec", "massChange", "atLeast")
	}
	for i, w := range spec.Windows {
		s.window(w, "spec", "windows", strconv.Itoa(i))
	}
	s.duration(spec.Drift.After, 1, 0, "spec", "drift", "after")
	s.duration(spec.Defaults.Bake, BakeMin, 0, "spec", "defaults", "bake")
	s.duration(spec.Defaults.Deadline, DeadlineMin, DeadlineMax, "spec", "defaults", "deadline")
}

func (s *source) metadata(m Metadata) {
	if !namePattern.MatchString(m.Name) {
		s.report(fmt.Sprintf("metadata.name is %q; write lower-case letters, digits and hyphens, at most 63", printable(m.Name)), "metadata", "name")
	}
	for name, value := range m.Labels {
		at := object("metadata.labels", name)
		if !labelPattern.MatchString(name) {
			s.reportKey(fmt.Sprintf("the label %q is not a name; write letters, digits and -_./, at most 63", printable(name)), at...)
		}
		if what := secretLike(value); what != "" {
			s.report(label(at)+" looks like "+what+"; labels are public", at...)
		} else if len(value) > labelMax {
			s.report(fmt.Sprintf("%s has %d bytes; write at most %d", label(at), len(value), labelMax), at...)
		}
	}
}

func (s *source) window(w Window, path ...string) {
	at := func(field string) []string { return append(slices.Clip(path), field) }
	if len(w.Days) == 0 {
		s.report(label(at("days"))+" is empty; name at least one of mon, tue, wed, thu, fri, sat, sun", at("days")...)
	}
	for i, day := range w.Days {
		below := append(at("days"), strconv.Itoa(i))
		switch {
		case !slices.Contains(weekdays, day):
			s.report(fmt.Sprintf("%s is %q; write mon, tue, wed, thu, fri, sat or sun", label(below), day), below...)
		case slices.Index(w.Days, day) < i:
			s.report(fmt.Sprintf("%s names %s again; name each day once", label(below), day), below...)
		}
	}
	if !clockPattern.MatchString(w.From) {
		s.report(fmt.Sprintf("%s is %q; write hours and minutes, such as 09:00", label(at("from")), w.From), at("from")...)
	}
	if !clockPattern.MatchString(w.To) {
		s.report(fmt.Sprintf("%s is %q; write hours and minutes, such as 17:00, or 00:00 for the day's end", label(at("to")), w.To), at("to")...)
	}
	if w.From == w.To && w.To != "00:00" {
		s.report(fmt.Sprintf("%s is the same as from (%s); write a later or, for a span over midnight, an earlier time", label(at("to")), w.To), at("to")...)
	}
	if _, err := time.LoadLocation(w.Timezone); err != nil || w.Timezone == "Local" {
		s.report(fmt.Sprintf("%s is %q; write an IANA name, such as Europe/Berlin or UTC", label(at("timezone")), w.Timezone), at("timezone")...)
	}
}

// duration reports a duration that the file writes outside its limits; no upper limit is 0. Zero is told apart from absent here,
// because the default would silently take its place.
func (s *source) duration(d, least, most Duration, path ...string) {
	switch {
	case !s.has(path...):
	case d <= 0:
		s.report(fmt.Sprintf("%s is %s; write a time above 0, or remove the line for the default", label(path), d), path...)
	case d < least:
		s.report(fmt.Sprintf("%s is %s; write at least %s", label(path), d, least), path...)
	case most > 0 && d > most:
		s.report(fmt.Sprintf("%s is %s; write at most %s", label(path), d, most), path...)
	}
}
