package discovery

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxKeptFile bounds what is read into memory at a start; a registry of 50,000 instances needs some 5 MB.
const maxKeptFile = 256 << 20

// fileName is the name of a registry's file. Any name of a registry makes a name that is safe in any file system: letters
// that could be taken for others, or mean something, are written as %XX, and what is too long ends in a hash.
func fileName(name string) string {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		switch ch := name[i]; {
		case 'a' <= ch && ch <= 'z', '0' <= ch && ch <= '9', ch == '-', ch == '_':
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	escaped := b.String()
	if len(escaped) > 200 {
		sum := sha256.Sum256([]byte(name))
		escaped = escaped[:160] + "-" + hex.EncodeToString(sum[:16])
	}
	return "registry-" + escaped + ".state"
}

// readKept reads a registry's file, and refuses what is not that registry's, or too old.
func readKept(file, name, identity string, maxAge time.Duration, now time.Time) (*kept, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", file)
	case info.Size() > maxKeptFile:
		return nil, fmt.Errorf("it has %d bytes, at most %d make sense", info.Size(), maxKeptFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxKeptFile))
	if err != nil {
		return nil, err
	}
	state, err := decodeKept(data)
	if err != nil {
		return nil, err
	}
	if state.name != name || state.identity != identity {
		return nil, fmt.Errorf("it is of registry %q (%s), not of %q (%s)", state.name, state.identity, name, identity)
	}
	// The clock may have been wrong when it was written, or may be now: what comes from the future by more than may be old
	// is of no known age.
	age := now.Sub(state.at)
	if maxAge > 0 && (age > maxAge || age < -maxAge) {
		return nil, fmt.Errorf("it is of %s, and may be %s old at most", state.at.Format(time.RFC3339), maxAge)
	}
	for service, s := range state.services {
		if maxAge > 0 && now.Sub(s.at) > maxAge {
			delete(state.services, service)
		}
	}
	return state, nil
}

// writeKept writes the file anew. Whoever reads sees the old file or the new one, also after a crash or a loss of power.
func writeKept(file string, state *keeping) (size int64, err error) {
	folder := filepath.Dir(file)
	temporary, err := os.CreateTemp(folder, filepath.Base(file)+".*.tmp")
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			temporary.Close()
			os.Remove(temporary.Name())
		}
	}()
	if err := encodeKept(temporary, state); err != nil {
		return 0, err
	}
	if size, err = temporary.Seek(0, io.SeekCurrent); err != nil {
		return 0, err
	}
	if err := temporary.Sync(); err != nil {
		return 0, err
	}
	if err := temporary.Close(); err != nil {
		return 0, err
	}
	if err := os.Rename(temporary.Name(), file); err != nil {
		return 0, err
	}
	return size, syncFolder(folder)
}

func syncFolder(folder string) error {
	d, err := os.Open(folder)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// sweepTemporary removes what writes that were cut off have left in the folder.
func sweepTemporary(folder string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return // it is made with the first write
	}
	for _, e := range entries {
		if name := e.Name(); e.Type().IsRegular() && strings.HasPrefix(name, "registry-") && strings.HasSuffix(name, ".tmp") {
			os.Remove(filepath.Join(folder, name))
		}
	}
}
