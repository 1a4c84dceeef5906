package hessian

import "encoding/binary"

// AppendMapStart opens an untyped map. Keys and values follow in turn; AppendMapEnd closes it.
func AppendMapStart(dst []byte) []byte { return append(dst, 'H') }

// AppendTypedMapStart opens a map of a Java class, such as java.util.Properties.
func AppendTypedMapStart(dst []byte, class string) []byte {
	return AppendString(append(dst, 'M'), class)
}

// AppendMapEnd closes a map.
func AppendMapEnd(dst []byte) []byte { return append(dst, 'Z') }

// AppendListStart opens an untyped list whose length is not known yet and returns where the length goes: give that to
// PatchListLength once the elements have been written. Java refuses the hessian2 form for lists of unknown length where a
// parameter type is declared, so a length of fixed size is written and filled in afterwards.
func AppendListStart(dst []byte) (out []byte, mark int) {
	dst = append(dst, 0x58, 'I', 0, 0, 0, 0)
	return dst, len(dst) - 4
}

// PatchListLength fills in the length of a list that AppendListStart opened.
func PatchListLength(out []byte, mark, length int) {
	binary.BigEndian.PutUint32(out[mark:], uint32(length))
}

// AppendListLength opens an untyped list of a known length; that many values must follow.
func AppendListLength(dst []byte, length int) []byte {
	if length <= 7 {
		return append(dst, byte(0x78+length))
	}
	return AppendInt(append(dst, 0x58), int32(length))
}

// AppendTypedListLength opens a list of a known length and type, such as "[string" or "[object". There is a shorter form
// for up to seven elements, but this is the one that Dubbo's own clients send.
func AppendTypedListLength(dst []byte, typ string, length int) []byte {
	return AppendInt(AppendString(append(dst, 'V'), typ), int32(length))
}
