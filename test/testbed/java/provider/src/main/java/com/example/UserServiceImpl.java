package com.example;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.dubbo.rpc.RpcContext;

final class UserServiceImpl implements UserService {
    private final String name;
    private final String registration;
    private final AtomicInteger touches = new AtomicInteger();

    UserServiceImpl(String name, String registration) {
        this.name = name;
        this.registration = registration;
    }

    @Override
    public User get(long id) {
        return Samples.user(id);
    }

    @Override
    public User create(User user) {
        return user;
    }

    @Override
    public List<User> list(List<Long> ids) {
        List<User> users = new ArrayList<>();
        for (Long id : ids) {
            users.add(Samples.user(id));
        }
        return users;
    }

    @Override
    public int echoInt(int value) {
        return value;
    }

    @Override
    public long echoLong(long value) {
        return value;
    }

    @Override
    public short echoShort(short value) {
        return value;
    }

    @Override
    public byte echoByte(byte value) {
        return value;
    }

    @Override
    public float echoFloat(float value) {
        return value;
    }

    @Override
    public double echoDouble(double value) {
        return value;
    }

    @Override
    public boolean echoBool(boolean value) {
        return value;
    }

    @Override
    public char echoChar(char value) {
        return value;
    }

    @Override
    public Integer echoBoxed(Integer value) {
        return value;
    }

    @Override
    public String echoString(String value) {
        return value;
    }

    @Override
    public Gender echoEnum(Gender value) {
        return value;
    }

    @Override
    public BigDecimal echoDecimal(BigDecimal value) {
        return value;
    }

    @Override
    public BigInteger echoBigInteger(BigInteger value) {
        return value;
    }

    @Override
    public Date echoDate(Date value) {
        return value;
    }

    @Override
    public LocalDate echoLocalDate(LocalDate value) {
        return value;
    }

    @Override
    public LocalDateTime echoLocalDateTime(LocalDateTime value) {
        return value;
    }

    @Override
    public byte[] echoBytes(byte[] value) {
        return value;
    }

    @Override
    public List<String> echoList(List<String> value) {
        return value;
    }

    @Override
    public Map<String, Integer> echoMap(Map<String, Integer> value) {
        return value;
    }

    @Override
    public int[] echoInts(int[] value) {
        return value;
    }

    @Override
    public Address[] echoAddresses(Address[] value) {
        return value;
    }

    @Override
    public Object echoObject(Object value) {
        return value;
    }

    @Override
    public String ping() {
        return "pong";
    }

    @Override
    public int add(int a, int b) {
        return a + b;
    }

    @Override
    public String find(long id) {
        return "id " + id;
    }

    @Override
    public String find(String name) {
        return "name " + name;
    }

    @Override
    public String find(String name, int limit) {
        return "name " + name + ", at most " + limit;
    }

    @Override
    public User returnsNull() {
        return null;
    }

    @Override
    public void touch() {
        touches.incrementAndGet();
    }

    @Override
    public int touched() {
        return touches.get();
    }

    @Override
    public String fail(String message) {
        throw new BizException(42, message);
    }

    @Override
    public int slow(int ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
        return ms;
    }

    @Override
    public String big(int n) {
        return "x".repeat(n);
    }

    @Override
    @SuppressWarnings("deprecation") // the only call that both versions of Dubbo have
    public String attachment(String name) {
        return RpcContext.getContext().getAttachment(name);
    }

    @Override
    public String whoami() {
        return name;
    }

    @Override
    public String registration() {
        return registration;
    }
}
