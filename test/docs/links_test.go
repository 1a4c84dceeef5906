package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestLinks follows every relative link, and every anchor within the pages.
func TestLinks(t *testing.T) {
	more, err := filepath.Glob(filepath.Join(root, "examples/*/README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages(t), append(more, filepath.Join(root, "CHANGELOG.md"))...) {
		for _, m := range regexp.MustCompile(`\]\(([^)\s]+)\)`).FindAllStringSubmatch(read(t, page), -1) {
			link, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(link, "://") {
				continue
			}
			target := page
			if link != "" {
				target = filepath.Join(filepath.Dir(page), link)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: %s leads nowhere", page, m[1])
				continue
			}
			if anchor != "" && !anchors(read(t, target))[anchor] {
				t.Errorf("%s: %s has no heading %s", page, link, anchor)
			}
		}
	}
}

// anchors are the names that GitHub gives to headings.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(page, -1) {
		name := regexp.MustCompile("[^a-z0-9 _-]").ReplaceAllString(strings.ToLower(m[1]), "")
		all[strings.ReplaceAll(name, " ", "-")] = true
	}
	return all
}

// TestMetricsPage: every metric that the page names exists in the code, and the other way round.
func TestMetricsPage(t *testing.T) {
	page := read(t, filepath.Join(root, "docs/guide/running.md"))
	code := read(t, filepath.Join(root, "proxy/metrics.go")) + read(t, filepath.Join(root, "telemetry/metrics.go")) + read(t, filepath.Join(root, "proxy/upstream/store.go"))
	told, made := map[string]bool{}, map[string]bool{}
	for _, m := range regexp.MustCompile("`(sluice_[a-z_]+)`").FindAllStringSubmatch(page, -1) {
		told[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`\bd\("([a-z_]+)"|NewDesc\("sluice_([a-z_]+)"|Name: +"sluice_([a-z_]+)"`).FindAllStringSubmatch(code, -1) {
		made["sluice_"+m[1]+m[2]+m[3]] = true
	}
	for name := range made {
		if !told[name] {
			t.Errorf("running.md does not tell of %s", name)
		}
	}
	for name := range told {
		if !made[name] {
			t.Errorf("running.md tells of %s, which does not exist", name)
		}
	}
}

// TestAccessLogPage: every member of an access log line is on the page.
func TestAccessLogPage(t *testing.T) {
	page := read(t, filepath.Join(root, "docs/guide/running.md"))
	code := read(t, filepath.Join(root, "telemetry/line.go"))
	for _, m := range regexp.MustCompile(`text\(dst, "(\w+)"|[{,]"(\w+)":`).FindAllStringSubmatch(code, -1) {
		if name := m[1] + m[2]; !strings.Contains(page, "`"+name+"`") {
			t.Errorf("running.md does not tell of %s", name)
		}
	}
}
