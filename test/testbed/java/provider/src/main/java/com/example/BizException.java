package com.example;

/** What the service throws when a caller asks for something that the business forbids. */
public class BizException extends RuntimeException {
    private static final long serialVersionUID = 1L;

    private int code;

    public BizException() {
    }

    public BizException(int code, String message) {
        super(message);
        this.code = code;
    }

    public int getCode() {
        return code;
    }

    public void setCode(int code) {
        this.code = code;
    }
}
