package flowcontrol

import (
	"context"
	"log/slog"
	"sync"

	"github.com/alibaba/sentinel-golang/logging"
)

// quiet sets Sentinel's logger once: it is a global of the library that its own goroutines read without a lock.
var quiet sync.Once

func useLogger(logger *slog.Logger) {
	quiet.Do(func() {
		// The only error is a nil logger.
		_ = logging.ResetGlobalLogger(&adapter{logger.With("library", "sentinel")})
	})
}

// adapter hands Sentinel's messages to slog. What Sentinel calls information (each rule that is loaded, each clock that
// jumps) is for debugging here.
type adapter struct{ logger *slog.Logger }

func (a *adapter) Debug(msg string, kv ...any) {}

func (a *adapter) DebugEnabled() bool { return false }

func (a *adapter) Info(msg string, kv ...any) { a.logger.Debug(msg, kv...) }

func (a *adapter) InfoEnabled() bool { return a.logger.Enabled(context.Background(), slog.LevelDebug) }

func (a *adapter) Warn(msg string, kv ...any) { a.logger.Warn(msg, kv...) }

func (a *adapter) WarnEnabled() bool { return true }

func (a *adapter) Error(err error, msg string, kv ...any) {
	a.logger.Error(msg, append(kv, "error", err)...)
}

func (a *adapter) ErrorEnabled() bool { return true }
