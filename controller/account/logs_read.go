package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/canteen/deploy/controller/fault"
)

// logQuery asks for streams by their names, or for all with a prefix, of which some are ours.
type logQuery struct {
	names  []string
	prefix string
}

// key is the same for the same request of a later look.
func (q logQuery) key() string { return q.prefix + strings.Join(q.names, "\n") }

// logPlace is where a group is read on.
type logPlace struct {
	from  time.Time          // lines of this time on
	empty map[string]logPage // by query, the page behind those that were empty

	behind bool // what is older than logOverlap was read to its end, and what is newer was not
}

// logPage is the page that a look would have asked for next. In a large group AWS answers pages without any line, and a look that saw nothing
// else knows no time from which to read on.
type logPage struct {
	token string
	began time.Time // when the first page was asked for
}

// logAnswer is what a query's pages have shown.
type logAnswer struct {
	events []cwl.FilteredLogEvent
	at     time.Time // of the last line, others' too
	began  time.Time // when the first of the pages was asked for, which an earlier look may have done
	next   string    // the page after them, where the pages that were given to it were too few
}

// readGroup reads on in a group from a place, and answers the streams' own events with the place at which the next look reads on. Naming a
// stream that does not exist yet fails the whole request, so then, and where the streams are not said to exist, they are asked for by their
// common prefixes.
func (a *Account) readGroup(ctx context.Context, group string, streams []string, at logPlace, exist bool) ([]cwl.FilteredLogEvent, logPlace, error) {
	queries := byPrefix(streams)
	if exist {
		queries = byName(streams)
	}
	own := map[string]bool{}
	for _, s := range streams {
		own[s] = true
	}
	var events []cwl.FilteredLogEvent
	var left time.Time // the first place at which a query was left; zero: none was
	began, pages := time.Now(), map[string]logPage{}
	var failed error
	for most := logPagesMax; len(queries) > 0 && failed == nil; {
		q := queries[0]
		answer, used, err := a.filterPages(ctx, group, q, at, max(1, most/len(queries)))
		if most -= used; len(q.names) > 0 && fault.Is(err, fault.NotFound) {
			queries = byPrefix(streams)
			continue
		}
		queries = queries[1:]
		for _, e := range answer.events {
			if own[aws.ToString(e.LogStreamName)] {
				events = append(events, e)
			}
		}
		if answer.began.Before(began) {
			began = answer.began
		}
		if answer.next != "" && answer.at.IsZero() {
			pages[q.key()] = logPage{answer.next, answer.began}
		}
		if failed = err; err != nil || answer.next != "" {
			left = earliest(left, newest(at.from, answer.at))
		}
		if err != nil && len(queries) > 0 {
			left = at.from // nothing is known of those that were not asked
		}
	}
	next := logPlace{from: readOn(at.from, began, left, lastOf(events))}
	if failed == nil && !left.IsZero() {
		// What is newer is read by every look until no line may come any more. It is not waited for that all of it is read at once.
		if next.behind = left.After(began.Add(-logOverlap)); !next.behind {
			failed = fmt.Errorf("read log group %s: more than %d pages are new; the rest is read next time", group, logPagesMax)
		}
	}
	if next.from.Equal(at.from) { // a page is one of those from there on
		next.empty = pages
	}
	return events, next, failed
}

// readOn is the place at which the next look reads on, so that a line that comes up to logOverlap late is read all the same. What was read
// to its end is read on a little before the newest line that is our own: by the clock that wrote it, and others' lines never hide that ours
// are still to come. What was too long for one look is read on where it was left, whoever wrote so much, but not where lines may still come:
// that is told by our clock, as the lines themselves only tell how much there is. In both a line whose time is ahead of ours counts as
// of now.
func readOn(from, began, left, own time.Time) time.Time {
	if !left.IsZero() {
		return newest(from, earliest(left, began.Add(-logOverlap)))
	}
	if own.IsZero() {
		return from
	}
	return newest(from, earliest(own, began).Add(-logOverlap))
}

func byName(streams []string) (out []logQuery) {
	for chunk := range slices.Chunk(streams, logStreamsMax) {
		out = append(out, logQuery{names: chunk})
	}
	return out
}

func byPrefix(streams []string) (out []logQuery) {
	prefixes := map[string]bool{}
	for _, s := range streams {
		prefixes[s[:strings.LastIndexByte(s, '/')+1]] = true
	}
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		out = append(out, logQuery{prefix: prefix})
	}
	return out
}

// filterPages answers at most so many pages, and how many it asked for.
func (a *Account) filterPages(ctx context.Context, group string, q logQuery, at logPlace, most int) (out logAnswer, used int, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, LogStreamNames: q.names, StartTime: millis(at.from)}
	if q.prefix != "" {
		in.LogStreamNamePrefix = &q.prefix
	}
	out.began = time.Now()
	if page, ok := at.empty[q.key()]; ok {
		in.NextToken, out.began = &page.token, page.began
	}
	for used < most {
		page, err := a.aws.Logs.FilterLogEvents(ctx, in)
		used++
		if err != nil {
			return out, used, deed(err, "read log group %s", group)
		}
		out.events = append(out.events, page.Events...)
		out.at = newest(out.at, lastOf(page.Events))
		// A page may be empty and still have a successor.
		if aws.ToString(page.NextToken) == "" {
			return out, used, nil
		}
		in.NextToken = page.NextToken
	}
	out.next = aws.ToString(in.NextToken)
	return out, used, nil
}

func lastOf(events []cwl.FilteredLogEvent) (last time.Time) {
	for _, e := range events {
		last = newest(last, time.UnixMilli(aws.ToInt64(e.Timestamp)))
	}
	return last
}

// earliest is the earlier one; zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func newest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}
