package com.example;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.Date;
import java.util.List;
import java.util.Map;

/** A service with one method for each thing that a gateway may stumble over. */
public interface UserService {
    /** A full user whose values depend on the id alone; see Samples. */
    User get(long id);

    /** The user, as it arrived. */
    User create(User user);

    List<User> list(List<Long> ids);

    // One echo for each kind of value.

    int echoInt(int value);

    long echoLong(long value);

    short echoShort(short value);

    byte echoByte(byte value);

    float echoFloat(float value);

    double echoDouble(double value);

    boolean echoBool(boolean value);

    char echoChar(char value);

    Integer echoBoxed(Integer value);

    String echoString(String value);

    Gender echoEnum(Gender value);

    BigDecimal echoDecimal(BigDecimal value);

    BigInteger echoBigInteger(BigInteger value);

    Date echoDate(Date value);

    LocalDate echoLocalDate(LocalDate value);

    LocalDateTime echoLocalDateTime(LocalDateTime value);

    byte[] echoBytes(byte[] value);

    List<String> echoList(List<String> value);

    Map<String, Integer> echoMap(Map<String, Integer> value);

    int[] echoInts(int[] value);

    Address[] echoAddresses(Address[] value);

    Object echoObject(Object value);

    // Shapes of methods.

    String ping();

    int add(int a, int b);

    String find(long id);

    String find(String name);

    String find(String name, int limit);

    User returnsNull();

    void touch();

    /** How often touch was called in this process. */
    int touched();

    // Things that go wrong, and things beside the arguments.

    /** Throws a BizException with code 42 and this message. */
    String fail(String message) throws BizException;

    /** Answers with ms after as many milliseconds. */
    int slow(int ms);

    /** A string of n letters. */
    String big(int n);

    /** The value of a request attachment, null without it. */
    String attachment(String name);

    /** The name that this provider was started with: who answered. */
    String whoami();

    /** Group and version of the registration that was called, "group/version". */
    String registration();
}
