package ecs

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// random is a source of its own for one kind of thing and one occurrence of it.
// What one service draws never depends on what another did meanwhile, so
// calls that race do not change ids and latencies.
func (e *Engine) random(kind string) *rand.Rand {
	e.counts[kind]++
	h := fnv.New64a()
	fmt.Fprintf(h, "%s#%d", kind, e.counts[kind])
	return rand.New(rand.NewPCG(e.cfg.Seed, h.Sum64()))
}

func (r Range) draw(rnd *rand.Rand) time.Duration {
	if r.Max <= r.Min {
		return r.Min
	}
	return r.Min + time.Duration(rnd.Int64N(int64(r.Max-r.Min)+1))
}

func upTo(limit time.Duration, rnd *rand.Rand) time.Duration { return Range{0, limit}.draw(rnd) }

func bytesOf(rnd *rand.Rand, n int) []byte {
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, rnd.Uint64())
	}
	return b[:n]
}

func hexID(rnd *rand.Rand, bytes int) string { return hex.EncodeToString(bytesOf(rnd, bytes)) }

func uuid(rnd *rand.Rand) string {
	b := bytesOf(rnd, 16)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// revisionNumber is the 19 digits shared by a deployment and its revision.
func revisionNumber(rnd *rand.Rand) string {
	return strconv.FormatUint(1e18+rnd.Uint64N(8e18), 10)
}

// serviceDeploymentID is 21 url-safe characters.
func serviceDeploymentID(rnd *rand.Rand) string {
	return base64.RawURLEncoding.EncodeToString(bytesOf(rnd, 16))[:21]
}

func (e *Engine) arn(kind string, parts ...string) string {
	return "arn:aws:ecs:" + e.cfg.Region + ":" + e.cfg.Account + ":" + kind + "/" + strings.Join(parts, "/")
}

// resource splits an ECS ARN of this account into its kind and path; ok is
// false for anything else.
func (e *Engine) resource(arn string) (kind string, path []string, ok bool) {
	rest, ok := strings.CutPrefix(arn, "arn:aws:ecs:"+e.cfg.Region+":"+e.cfg.Account+":")
	if !ok {
		return "", nil, false
	}
	parts := strings.Split(rest, "/")
	return parts[0], parts[1:], true
}
