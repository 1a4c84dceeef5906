package nacos

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"

	wire "github.com/nacos-group/nacos-sdk-go/v2/api/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

// The messages of Nacos's gRPC protocol: a protobuf envelope (type, headers) around a JSON body. Only the fields that are
// used are named here; servers of all versions ignore what they do not know, and so do we.

// Types of requests that we send.
const (
	typeServerCheck     = "ServerCheckRequest"
	typeConnectionSetup = "ConnectionSetupRequest"
	typeHealthCheck     = "HealthCheckRequest"
	typeSubscribe       = "SubscribeServiceRequest"
	typeServiceList     = "ServiceListRequest"
	typeFuzzyWatch      = "NamingFuzzyWatchRequest"
	typeConfigListen    = "ConfigBatchListenRequest"
	typeConfigQuery     = "ConfigQueryRequest"
	typeInstance        = "InstanceRequest"
)

// Types of requests that the server sends over the stream.
const (
	typeSetupAck         = "SetupAckRequest"
	typeClientDetection  = "ClientDetectionRequest"
	typeConnectReset     = "ConnectResetRequest"
	typeNotifySubscriber = "NotifySubscriberRequest"
	typeConfigChange     = "ConfigChangeNotifyRequest"
	typeFuzzySync        = "NamingFuzzyWatchSyncRequest"
	typeFuzzyChange      = "NamingFuzzyWatchChangeNotifyRequest"
)

// Codes that answers carry.
const (
	codeOK             = 200
	codeConfigNotFound = 300
	codeUnregistered   = 301 // the server does not know this connection (any more)
	codeNoHandler      = 302 // the server does not know this request
	codeForbidden      = 403
	codeUnauthorized   = 401
)

const abilityFuzzyWatch = "fuzzyWatch"

type serverCheck struct {
	Module string `json:"module"`
}

type serverCheckAnswer struct {
	answerHead
	SupportAbilityNegotiation bool `json:"supportAbilityNegotiation"`
}

type connectionSetup struct {
	Module        string            `json:"module"`
	ClientVersion string            `json:"clientVersion"`
	Tenant        string            `json:"tenant"`
	Labels        map[string]string `json:"labels"`
	AbilityTable  map[string]bool   `json:"abilityTable"`
}

type namingRequest struct {
	Module      string `json:"module"`
	Namespace   string `json:"namespace"`
	GroupName   string `json:"groupName"`
	ServiceName string `json:"serviceName"`
}

type subscribe struct {
	namingRequest
	Clusters  string `json:"clusters"`
	Subscribe bool   `json:"subscribe"`
}

type subscribeAnswer struct {
	answerHead
	ServiceInfo *serviceInfo `json:"serviceInfo"`
}

// serviceInfo is the state of one service. Hosts are decoded one by one, so that one that cannot be read is skipped alone.
type serviceInfo struct {
	Name      string            `json:"name"`
	GroupName string            `json:"groupName"`
	Hosts     []json.RawMessage `json:"hosts"`
}

// key splits the older form of the name, group@@name.
func (s *serviceInfo) key() serviceKey {
	if group, name, ok := strings.Cut(s.Name, "@@"); ok {
		return serviceKey{group, name}
	}
	return serviceKey{s.GroupName, s.Name}
}

type serviceList struct {
	namingRequest
	PageNo   int    `json:"pageNo"`
	PageSize int    `json:"pageSize"`
	Selector string `json:"selector"`
}

type serviceListAnswer struct {
	answerHead
	Count        int      `json:"count"`
	ServiceNames []string `json:"serviceNames"`
}

type fuzzyWatch struct {
	Module            string   `json:"module"`
	Namespace         string   `json:"namespace"`
	GroupKeyPattern   string   `json:"groupKeyPattern"`
	WatchType         string   `json:"watchType"`
	Initializing      bool     `json:"initializing"`
	ReceivedGroupKeys []string `json:"receivedGroupKeys"`
}

type configRequest struct {
	Module string `json:"module"`
	Group  string `json:"group"`
	DataID string `json:"dataId"`
	Tenant string `json:"tenant"`
}

type configContext struct {
	Group  string `json:"group"`
	DataID string `json:"dataId"`
	Tenant string `json:"tenant"`
	MD5    string `json:"md5"`
}

type configListen struct {
	Module   string          `json:"module"`
	Listen   bool            `json:"listen"`
	Contexts []configContext `json:"configListenContexts"`
}

type configListenAnswer struct {
	answerHead
	ChangedConfigs []configContext `json:"changedConfigs"`
}

type configAnswer struct {
	answerHead
	Content string `json:"content"`
	MD5     string `json:"md5"`
}

// serverMessage is everything that a request of the server may carry.
type serverMessage struct {
	RequestID string `json:"requestId"`

	ServiceInfo *serviceInfo `json:"serviceInfo"` // NotifySubscriberRequest

	DataID string `json:"dataId"` // ConfigChangeNotifyRequest
	Group  string `json:"group"`

	AbilityTable map[string]bool `json:"abilityTable"` // SetupAckRequest

	ServerIP   string          `json:"serverIp"` // ConnectResetRequest
	ServerPort json.RawMessage `json:"serverPort"`

	Contexts []serviceChange `json:"contexts"` // NamingFuzzyWatchSyncRequest
	serviceChange
}

// serviceChange is one change of the list of services; the key is namespace@@group@@name.
type serviceChange struct {
	ServiceKey  string `json:"serviceKey"`
	ChangedType string `json:"changedType"`
}

const (
	changeAdd    = "ADD_SERVICE"
	changeDelete = "DELETE_SERVICE"
)

// split gives the group and the name of the service.
func (s *serviceChange) split() (group, name string, ok bool) {
	_, rest, ok := strings.Cut(s.ServiceKey, "@@")
	if !ok {
		return "", "", false
	}
	group, name, ok = strings.Cut(rest, "@@")
	return group, name, ok && group != "" && name != ""
}

// answerHead is what all answers begin with. Some servers leave out success; resultCode is in all of them.
type answerHead struct {
	ResultCode int    `json:"resultCode"`
	ErrorCode  int    `json:"errorCode"`
	Message    string `json:"message"`
}

func (h *answerHead) head() *answerHead { return h }

// answer is any of the answers.
type answer interface{ head() *answerHead }

type ack struct {
	answerHead
	RequestID string `json:"requestId"`
	Success   bool   `json:"success"`
}

// refusal is an answer that is not the one that was asked for.
type refusal struct {
	request string
	code    int
	message string
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s refused: %d %s", r.request, r.code, clip(r.message))
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

// encode wraps a message.
func encode(kind, clientIP, token string, body any) (*wire.Payload, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind, err)
	}
	m := &wire.Metadata{Type: kind, ClientIp: clientIP}
	if token != "" {
		m.Headers = map[string]string{"accessToken": token}
	}
	return &wire.Payload{Metadata: m, Body: &anypb.Any{Value: b}}, nil
}

// decodeAnswer reads the answer to a request into out.
func decodeAnswer(request string, body []byte, out answer) error {
	err := json.Unmarshal(body, out)
	h := out.head()
	switch {
	// What stands beside a refusal may have another shape than that of the answer.
	case h.ResultCode != 0 && h.ResultCode != codeOK:
		return &refusal{request, cmp.Or(h.ErrorCode, h.ResultCode), h.Message}
	case err != nil:
		return fmt.Errorf("read answer to %s: %w", request, err)
	case h.ResultCode == 0:
		return fmt.Errorf("read answer to %s: it has no resultCode", request)
	}
	return nil
}

// decodeMessage reads a request of the server.
func decodeMessage(kind string, body []byte) (*serverMessage, error) {
	m := &serverMessage{}
	if err := json.Unmarshal(body, m); err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	return m, nil
}

// answerType is the type of the answer to a request of the server.
func answerType(request string) string {
	return strings.TrimSuffix(request, "Request") + "Response"
}
