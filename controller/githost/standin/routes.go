package standin

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *Server) routes() []route {
	return []route{
		{"GET", root + "/commits/{ref}/statuses", s.listStatuses},
		{"POST", root + "/statuses/{sha}", s.createStatus},
		{"GET", root + "/deployments", s.listDeployments},
		{"POST", root + "/deployments", s.createDeployment},
		{"GET", root + "/deployments/{deployment_id}/statuses", s.listDeploymentStatuses},
		{"POST", root + "/deployments/{deployment_id}/statuses", s.createDeploymentStatus},
		{"GET", root + "/git/ref/{ref}", s.getRef},
		{"POST", root + "/git/refs", s.createRef},
		{"DELETE", root + "/git/refs/{ref}", s.deleteRef},
		{"GET", root + "/contents/{path}", s.getContents},
		{"PUT", root + "/contents/{path}", s.putContents},
		{"GET", root + "/pulls", s.listPulls},
		{"POST", root + "/pulls", s.createPull},
		{"PATCH", root + "/pulls/{pull_number}", s.editPull},
	}
}

func now() string { return time.Now().UTC().Format(time.RFC3339) }

// page is a list as the request asks for it.
func page(c *call, list []object) (int, any) {
	size, number := 30, 1
	if n, err := strconv.Atoi(c.r.URL.Query().Get("per_page")); err == nil {
		size = min(n, 100)
	}
	if n, err := strconv.Atoi(c.r.URL.Query().Get("page")); err == nil {
		number = n
	}
	from := min((number-1)*size, len(list))
	return http.StatusOK, append([]object{}, list[from:min(from+size, len(list))]...)
}

func (s *Server) listStatuses(c *call) (int, any) { return page(c, s.statuses[c.param("ref")]) }

func (s *Server) createStatus(c *call) (int, any) {
	sha := c.param("sha")
	if _, err := s.git(nil, "cat-file", "-e", sha+"^{commit}"); err != nil {
		return http.StatusUnprocessableEntity, problem("No commit found for SHA: " + sha)
	}
	if len([]rune(c.text("description"))) > 140 {
		return http.StatusUnprocessableEntity, problem("description is too long (maximum is 140 characters)")
	}
	if len(s.statuses[sha]) >= 1000 {
		return http.StatusUnprocessableEntity, problem("This SHA and context has reached the maximum number of statuses.")
	}
	one := c.base(http.StatusCreated)
	one["id"], one["state"], one["context"], one["description"], one["target_url"] = s.id(), c.body["state"], c.body["context"], c.body["description"], c.body["target_url"]
	one["created_at"], one["updated_at"] = now(), now()
	s.statuses[sha] = slices.Insert(s.statuses[sha], 0, one)
	return http.StatusCreated, one
}

func (s *Server) listDeployments(c *call) (int, any) {
	var found []object
	for _, d := range s.deployments {
		fits := true
		for _, key := range []string{"sha", "ref", "task", "environment"} {
			if q := c.r.URL.Query().Get(key); q != "" && q != "none" && q != d[key] {
				fits = false
			}
		}
		if fits {
			found = append(found, d)
		}
	}
	return page(c, found)
}

func (s *Server) createDeployment(c *call) (int, any) {
	sha, err := s.git(nil, "rev-parse", "--verify", "--quiet", c.text("ref")+"^{commit}")
	if err != nil {
		return http.StatusUnprocessableEntity, problem("No ref found for: " + c.text("ref"))
	}
	one := c.base(http.StatusCreated)
	one["id"], one["sha"], one["ref"], one["task"], one["payload"] = s.id(), sha, c.body["ref"], c.body["task"], c.body["payload"]
	one["environment"], one["description"], one["created_at"], one["updated_at"] = c.body["environment"], c.body["description"], now(), now()
	s.deployments = slices.Insert(s.deployments, 0, one)
	return http.StatusCreated, one
}

func (s *Server) listDeploymentStatuses(c *call) (int, any) {
	id, _ := strconv.Atoi(c.param("deployment_id"))
	return page(c, s.of[id])
}

func (s *Server) createDeploymentStatus(c *call) (int, any) {
	id, _ := strconv.Atoi(c.param("deployment_id"))
	i := slices.IndexFunc(s.deployments, func(d object) bool { return d["id"] == id })
	if i < 0 {
		return notFound()
	}
	if len([]rune(c.text("description"))) > 140 {
		return http.StatusUnprocessableEntity, problem("description is too long (maximum is 140 characters)")
	}
	environment := s.deployments[i]["environment"]
	if auto, given := c.body["auto_inactive"].(bool); c.body["state"] == "success" && (auto || !given) {
		for _, d := range s.deployments {
			other := d["id"].(int)
			if other != id && d["environment"] == environment {
				s.of[other] = slices.Insert(s.of[other], 0, s.deploymentStatus(c, "inactive", environment))
			}
		}
	}
	one := s.deploymentStatus(c, c.text("state"), environment)
	s.of[id] = slices.Insert(s.of[id], 0, one)
	return http.StatusCreated, one
}

func (s *Server) deploymentStatus(c *call, state string, environment any) object {
	one := c.base(http.StatusCreated)
	one["id"], one["state"], one["description"], one["environment"] = s.id(), state, c.text("description"), environment
	one["log_url"], one["target_url"], one["created_at"], one["updated_at"] = c.text("log_url"), c.text("log_url"), now(), now()
	return one
}

func (s *Server) ref(c *call, code int, name, sha string) (int, any) {
	one := c.base(code)
	one["ref"] = name
	one["object"].(object)["sha"] = sha
	return code, one
}

func (s *Server) getRef(c *call) (int, any) {
	name := "refs/" + c.param("ref")
	sha, err := s.git(nil, "rev-parse", "--verify", "--quiet", name)
	if err != nil {
		return notFound()
	}
	return s.ref(c, http.StatusOK, name, sha)
}

func (s *Server) createRef(c *call) (int, any) {
	if _, err := s.git(nil, "update-ref", c.text("ref"), c.text("sha"), strings.Repeat("0", 40)); err != nil {
		return http.StatusUnprocessableEntity, problem("Reference already exists")
	}
	return s.ref(c, http.StatusCreated, c.text("ref"), c.text("sha"))
}

func (s *Server) deleteRef(c *call) (int, any) {
	name := "refs/" + c.param("ref")
	if _, err := s.git(nil, "rev-parse", "--verify", "--quiet", name); err != nil {
		return http.StatusUnprocessableEntity, problem("Reference does not exist")
	}
	s.must("update-ref", "-d", name)
	return http.StatusNoContent, nil
}

func (s *Server) getContents(c *call) (int, any) {
	at := c.r.URL.Query().Get("ref") + ":" + c.param("path")
	blob, err := s.git(nil, "rev-parse", "--verify", "--quiet", at)
	if err != nil {
		return notFound()
	}
	text, _ := s.raw(nil, nil, "cat-file", "blob", blob)
	one := c.base(http.StatusOK)
	one["name"], one["path"], one["sha"], one["size"] = filepath.Base(c.param("path")), c.param("path"), blob, len(text)
	one["encoding"], one["content"] = "base64", base64.StdEncoding.EncodeToString(text)
	return http.StatusOK, one
}

func (s *Server) putContents(c *call) (int, any) {
	branch, name := "refs/heads/"+c.text("branch"), c.param("path")
	tip, err := s.git(nil, "rev-parse", "--verify", "--quiet", branch)
	if err != nil {
		return notFound()
	}
	if blob, _ := s.git(nil, "rev-parse", "--verify", "--quiet", tip+":"+name); blob != c.text("sha") {
		return http.StatusConflict, object{"message": name + " does not match " + c.text("sha"), "documentation_url": "https://docs.github.com/rest", "status": "409"}
	}
	text, err := base64.StdEncoding.DecodeString(c.text("content"))
	if err != nil {
		return http.StatusUnprocessableEntity, problem("content is not valid Base64")
	}
	commit := s.commit(tip, name, text, c.text("message"))
	s.must("update-ref", branch, commit, tip)
	one := c.base(http.StatusOK)
	one["commit"].(object)["sha"], one["commit"].(object)["message"] = commit, c.text("message")
	return http.StatusOK, one
}

func (s *Server) listPulls(c *call) (int, any) {
	q := c.r.URL.Query()
	var found []object
	for _, p := range s.pulls {
		state := q.Get("state")
		if state == "" {
			state = "open"
		}
		head, base := "canteen:"+p["head"].(object)["ref"].(string), p["base"].(object)["ref"]
		if (state == "all" || p["state"] == state) && (q.Get("head") == "" || q.Get("head") == head) && (q.Get("base") == "" || q.Get("base") == base) {
			one := c.base(http.StatusOK) // the list has fewer fields than the pull request
			for key := range one {
				if v, ok := p[key]; ok {
					one[key] = v
				}
			}
			found = append(found, one)
		}
	}
	return page(c, found)
}

func (s *Server) createPull(c *call) (int, any) {
	head, base := c.text("head"), c.text("base")
	ahead, err := s.git(nil, "rev-list", "--count", "refs/heads/"+base+"..refs/heads/"+head)
	if err != nil {
		return http.StatusUnprocessableEntity, problem("head is invalid")
	}
	if ahead == "0" {
		return http.StatusUnprocessableEntity, problem("No commits between " + base + " and " + head)
	}
	for _, p := range s.pulls {
		if p["state"] == "open" && p["head"].(object)["ref"] == head {
			return http.StatusUnprocessableEntity, problem("A pull request already exists for canteen:" + head + ".")
		}
	}
	one := c.base(http.StatusCreated)
	number := s.id()
	one["id"], one["number"], one["state"], one["title"], one["body"] = number, number, "open", c.body["title"], c.body["body"]
	one["html_url"] = fmt.Sprintf("https://github.com/%s/pull/%d", Repository, number)
	one["head"].(object)["ref"], one["base"].(object)["ref"] = head, base
	s.pulls = slices.Insert(s.pulls, 0, one)
	return http.StatusCreated, one
}

func (s *Server) editPull(c *call) (int, any) {
	i := slices.IndexFunc(s.pulls, func(p object) bool { return fmt.Sprint(p["number"]) == c.param("pull_number") })
	if i < 0 {
		return notFound()
	}
	for _, key := range []string{"state", "title", "body"} {
		if v, ok := c.body[key]; ok {
			s.pulls[i][key] = v
		}
	}
	return http.StatusOK, s.pulls[i]
}

// commit makes a commit with another text of one file.
func (s *Server) commit(parent, name string, text []byte, message string) string {
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(s.t.TempDir(), "index")}
	blob, err := s.raw(nil, text, "hash-object", "-w", "--stdin")
	if err != nil {
		s.t.Errorf("git hash-object: %v", err)
	}
	for _, args := range [][]string{{"read-tree", parent}, {"update-index", "--add", "--cacheinfo", "100644," + strings.TrimSpace(string(blob)) + "," + name}} {
		if _, err := s.raw(index, nil, args...); err != nil {
			s.t.Errorf("git %v: %v", args, err)
		}
	}
	tree, err := s.git(index, "write-tree")
	if err != nil {
		s.t.Errorf("git write-tree: %v", err)
	}
	return s.must("commit-tree", tree, "-p", parent, "-m", message)
}

func (s *Server) must(args ...string) string {
	out, err := s.git(nil, args...)
	if err != nil {
		s.t.Errorf("git %v: %v", args, err)
	}
	return out
}

func (s *Server) git(env []string, args ...string) (string, error) {
	out, err := s.raw(env, nil, args...)
	return strings.TrimSpace(string(out)), err
}

func (s *Server) raw(env []string, stdin []byte, args ...string) ([]byte, error) {
	cmd := exec.Command("git", append([]string{"-C", s.dir}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=deploy", "GIT_AUTHOR_EMAIL=deploy@canteen.example", "GIT_COMMITTER_NAME=deploy", "GIT_COMMITTER_EMAIL=deploy@canteen.example")
	cmd.Env = append(cmd.Env, env...)
	if stdin != nil {
		cmd.Stdin = strings.NewReader(string(stdin))
	}
	return cmd.Output()
}
