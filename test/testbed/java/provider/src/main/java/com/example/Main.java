package com.example;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.MetadataReportConfig;
import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/**
 * Exports UserService twice, once as group g1 version 1.0.0 and once with neither, and prints "READY protocol=port ...".
 *
 * <p>Arguments are key=value: name, application, registry (a URL), protocols ("dubbo:20001,tri:20002"), metadata ("false" for
 * no metadata centre); what begins with "registry." or "service." becomes a parameter of the registry or of both services.
 */
public final class Main {
    private Main() {
    }

    public static void main(String[] args) throws InterruptedException {
        Map<String, String> settings = new LinkedHashMap<>();
        for (String arg : args) {
            int eq = arg.indexOf('=');
            settings.put(arg.substring(0, eq), arg.substring(eq + 1));
        }
        String name = settings.get("name");

        RegistryConfig registry = new RegistryConfig(settings.get("registry"));
        registry.setParameters(startingWith("registry.", settings));

        List<ProtocolConfig> protocols = new ArrayList<>();
        for (String spec : settings.get("protocols").split(",")) {
            String[] nameAndPort = spec.split(":");
            ProtocolConfig protocol = new ProtocolConfig(nameAndPort[0], Integer.parseInt(nameAndPort[1]));
            protocol.setId(nameAndPort[0]);
            protocols.add(protocol);
        }

        Map<String, String> parameters = startingWith("service.", settings);
        DubboBootstrap bootstrap = DubboBootstrap.getInstance()
                .application(new ApplicationConfig(settings.get("application")))
                .registry(registry)
                .protocols(protocols)
                .services(Arrays.asList(
                        service("grouped", name, "g1", "1.0.0", parameters), service("plain", name, null, null, parameters)));
        if (!"false".equals(settings.get("metadata"))) {
            bootstrap.metadataReport(new MetadataReportConfig(settings.get("registry")));
        }
        bootstrap.start();

        System.out.println("READY " + settings.get("protocols").replace(':', '='));
        new CountDownLatch(1).await();
    }

    private static ServiceConfig<?> service(
            String id, String name, String group, String version, Map<String, String> parameters) {
        ServiceConfig<UserService> service = new ServiceConfig<>();
        service.setId(id);
        service.setInterface(UserService.class);
        service.setRef(new UserServiceImpl(name, (group == null ? "" : group) + "/" + (version == null ? "" : version)));
        service.setGroup(group);
        service.setVersion(version);
        service.setParameters(new LinkedHashMap<>(parameters));
        return service;
    }

    private static Map<String, String> startingWith(String prefix, Map<String, String> settings) {
        Map<String, String> found = new LinkedHashMap<>();
        settings.forEach((key, value) -> {
            if (key.startsWith(prefix)) {
                found.put(key.substring(prefix.length()), value);
            }
        });
        return found;
    }
}
